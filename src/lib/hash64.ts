/**
 * XXH64 (the xxHash specification, version 0.1.1), what Envoy hashes with wherever it chooses a host by hash. Bytes
 * come as latin1 text, as header values and addresses do. V8 does the arithmetic on plain 64-bit integers, as long as
 * every step is cut to 64 bits.
 */

const PRIME1 = 0x9e3779b185ebca87n;
const PRIME2 = 0xc2b2ae3d27d4eb4fn;
const PRIME3 = 0x165667b19e3779f9n;
const PRIME4 = 0x85ebca77c2b2ae63n;
const PRIME5 = 0x27d4eb2f165667c5n;

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const rotate = (value: bigint, bits: bigint): bigint => u64(value << bits) | (value >> (64n - bits));
const round = (lane: bigint, input: bigint): bigint => u64(rotate(u64(lane + u64(input * PRIME2)), 31n) * PRIME1);
const merge = (hash: bigint, lane: bigint): bigint => u64(u64((hash ^ round(0n, lane)) * PRIME1) + PRIME4);

const byteAt = (text: string, at: number): number => text.charCodeAt(at) & 0xff;
const read32 = (text: string, at: number): number =>
  (byteAt(text, at) | (byteAt(text, at + 1) << 8) | (byteAt(text, at + 2) << 16) | (byteAt(text, at + 3) << 24)) >>> 0;
const read64 = (text: string, at: number): bigint => (BigInt(read32(text, at + 4)) << 32n) | BigInt(read32(text, at));

/** Each character of `text` stands for one byte. `seed` 0 is Envoy's default; a chain of hashes seeds each with the last. */
export function hash64(text: string, seed = 0n): bigint {
  const size = text.length;
  let at = 0;
  let hash: bigint;
  if (size >= 32) {
    let lane1 = u64(seed + PRIME1 + PRIME2);
    let lane2 = u64(seed + PRIME2);
    let lane3 = seed;
    let lane4 = u64(seed - PRIME1);
    for (; at + 32 <= size; at += 32) {
      lane1 = round(lane1, read64(text, at));
      lane2 = round(lane2, read64(text, at + 8));
      lane3 = round(lane3, read64(text, at + 16));
      lane4 = round(lane4, read64(text, at + 24));
    }
    hash = u64(rotate(lane1, 1n) + rotate(lane2, 7n) + rotate(lane3, 12n) + rotate(lane4, 18n));
    hash = merge(merge(merge(merge(hash, lane1), lane2), lane3), lane4);
  } else hash = u64(seed + PRIME5);
  hash = u64(hash + BigInt(size));
  for (; at + 8 <= size; at += 8) hash = u64(u64(rotate(hash ^ round(0n, read64(text, at)), 27n) * PRIME1) + PRIME4);
  if (at + 4 <= size) {
    hash = u64(u64(rotate(hash ^ u64(BigInt(read32(text, at)) * PRIME1), 23n) * PRIME2) + PRIME3);
    at += 4;
  }
  for (; at < size; at++) hash = u64(rotate(hash ^ u64(BigInt(byteAt(text, at)) * PRIME5), 11n) * PRIME1);
  hash = u64((hash ^ (hash >> 33n)) * PRIME2);
  hash = u64((hash ^ (hash >> 29n)) * PRIME3);
  return hash ^ (hash >> 32n);
}

const MURMUR = 0xc6a4a7935bd1e995n;
const MURMUR_SEED = 0xc70f6907n;

/** MurmurHash2, 64 bit, with the shift and seed of libstdc++'s std::hash: the other hash function of Envoy's ring. */
export function murmurHash64(text: string, seed = MURMUR_SEED): bigint {
  const size = text.length;
  const aligned = size & ~7;
  const mix = (value: bigint): bigint => value ^ (value >> 47n);
  let hash = seed ^ u64(BigInt(size) * MURMUR);
  for (let at = 0; at < aligned; at += 8)
    hash = u64((hash ^ u64(mix(u64(read64(text, at) * MURMUR)) * MURMUR)) * MURMUR);
  if (aligned < size) {
    let rest = 0n;
    for (let at = size - 1; at >= aligned; at--) rest = (rest << 8n) | BigInt(byteAt(text, at));
    hash = u64((hash ^ rest) * MURMUR);
  }
  hash = u64(mix(hash) * MURMUR);
  return mix(hash);
}
