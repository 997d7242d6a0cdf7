import { Word64 } from './word64.ts';

/**
 * XXH64 (the xxHash specification, version 0.1.1), what Envoy hashes with wherever it chooses a host by hash. Bytes
 * come as latin1 text, as header values and addresses do.
 */

const PRIME1 = Word64.of(0x9e3779b185ebca87n);
const PRIME2 = Word64.of(0xc2b2ae3d27d4eb4fn);
const PRIME3 = Word64.of(0x165667b19e3779f9n);
const PRIME4 = Word64.of(0x85ebca77c2b2ae63n);
const PRIME5 = Word64.of(0x27d4eb2f165667c5n);
const MINUS_PRIME1 = Word64.of(-0x9e3779b185ebca87n);
const ZERO = Word64.of(0n);

const read32 = (text: string, at: number): number =>
  (text.charCodeAt(at) & 0xff) |
  ((text.charCodeAt(at + 1) & 0xff) << 8) |
  ((text.charCodeAt(at + 2) & 0xff) << 16) |
  (text.charCodeAt(at + 3) << 24);
const read64 = (text: string, at: number): Word64 => new Word64(read32(text, at + 4), read32(text, at));

const round = (lane: Word64, input: Word64): Word64 => lane.add(input.multiply(PRIME2)).rotateLeft(31).multiply(PRIME1);
const merge = (hash: Word64, lane: Word64): Word64 =>
  hash
    .xor(round(Word64.of(0n), lane))
    .multiply(PRIME1)
    .add(PRIME4);

/** Each character of `text` stands for one byte. `seed` 0 is Envoy's default; a chain of hashes seeds each with the last. */
export function hash64(text: string, seed = 0n): bigint {
  const size = text.length;
  const start = seed === 0n ? ZERO : Word64.of(seed);
  let at = 0;
  const hash = new Word64(start.high, start.low);
  if (size >= 32) {
    const lane1 = new Word64(start.high, start.low).add(PRIME1).add(PRIME2);
    const lane2 = new Word64(start.high, start.low).add(PRIME2);
    const lane3 = new Word64(start.high, start.low);
    const lane4 = new Word64(start.high, start.low).add(MINUS_PRIME1);
    for (; at + 32 <= size; at += 32) {
      round(lane1, read64(text, at));
      round(lane2, read64(text, at + 8));
      round(lane3, read64(text, at + 16));
      round(lane4, read64(text, at + 24));
    }
    const turned = new Word64(0, 0);
    hash.set(turned.set(lane1).rotateLeft(1));
    hash.add(turned.set(lane2).rotateLeft(7));
    hash.add(turned.set(lane3).rotateLeft(12));
    hash.add(turned.set(lane4).rotateLeft(18));
    merge(merge(merge(merge(hash, lane1), lane2), lane3), lane4);
  } else hash.add(PRIME5);
  hash.addNumber(size);
  const input = new Word64(0, 0);
  for (; at + 8 <= size; at += 8) {
    input.high = read32(text, at + 4);
    input.low = read32(text, at);
    input.multiply(PRIME2).rotateLeft(31).multiply(PRIME1);
    hash.xor(input).rotateLeft(27).multiply(PRIME1).add(PRIME4);
  }
  input.high = 0;
  if (at + 4 <= size) {
    input.low = read32(text, at);
    hash.xor(input.multiply(PRIME1)).rotateLeft(23).multiply(PRIME2).add(PRIME3);
    at += 4;
  }
  for (; at < size; at++) {
    input.high = 0;
    input.low = text.charCodeAt(at) & 0xff;
    hash.xor(input.multiply(PRIME5)).rotateLeft(11).multiply(PRIME1);
  }
  hash.xorShiftRight(33).multiply(PRIME2).xorShiftRight(29).multiply(PRIME3).xorShiftRight(32);
  return hash.toBigInt();
}

const MURMUR = Word64.of(0xc6a4a7935bd1e995n);
const MURMUR_SEED = Word64.of(0xc70f6907n);

/** MurmurHash2, 64 bit, with the shift and seed of libstdc++'s std::hash: the other hash function of Envoy's ring. */
export function murmurHash64(text: string): bigint {
  const size = text.length;
  const aligned = size & ~7;
  const hash = new Word64(0, size).multiply(MURMUR).xor(MURMUR_SEED);
  for (let at = 0; at < aligned; at += 8)
    hash.xor(read64(text, at).multiply(MURMUR).xorShiftRight(47).multiply(MURMUR)).multiply(MURMUR);
  if (aligned < size) {
    const rest = new Word64(0, 0);
    for (let at = size - 1; at >= aligned; at--) {
      rest.high = (rest.high << 8) | (rest.low >>> 24);
      rest.low = (rest.low << 8) | (text.charCodeAt(at) & 0xff);
    }
    hash.xor(rest).multiply(MURMUR);
  }
  return hash.xorShiftRight(47).multiply(MURMUR).xorShiftRight(47).toBigInt();
}
