import { HUFFMAN_CODES, HUFFMAN_LENGTHS } from './huffman-code.ts';

/** `huffmanEncode` gave up: the result would not be shorter than the text. */
export const NotShorter = -1;

/** The longest code that the loop below can take: it holds up to 15 bits already, and has 31. */
const MAX_BITS = 16;
/** Code and length of each byte in one number, `code << 5 | length`; 0 = the code is longer. */
const PACKED = Int32Array.from({ length: 256 }, (_, byte) =>
  HUFFMAN_LENGTHS[byte]! <= MAX_BITS ? (HUFFMAN_CODES[byte]! << 5) | HUFFMAN_LENGTHS[byte]! : 0,
);

/** How many bytes `buffer[from..to)` takes in Huffman code (RFC 7541 section 5.2). */
export function huffmanSize(buffer: Buffer, from: number, to: number): number {
  let bits = 0;
  for (let i = from; i < to; i++) bits += HUFFMAN_LENGTHS[buffer[i]!]!;
  return Math.ceil(bits / 8);
}

/**
 * Writes what is at `buffer[from..to)` in Huffman code, padded with ones, to `buffer` from `at` on, as long as it is
 * shorter; the two must not overlap in `to - from` bytes. Returns where it ended, or NotShorter.
 */
export function huffmanEncode(buffer: Buffer, from: number, to: number, at: number): number {
  // What is behind this is not shorter; up to two bytes are written at a time.
  const limit = at + to - from - 1;
  let pending = 0;
  let bits = 0;
  for (let i = from; i < to; i++) {
    let packed = PACKED[buffer[i]!]!;
    if (packed === 0) {
      // Two parts: no more than 15 bits first.
      const code = HUFFMAN_CODES[buffer[i]!]!;
      const first = HUFFMAN_LENGTHS[buffer[i]!]! - MAX_BITS;
      pending = (pending << first) | (code >>> MAX_BITS);
      bits += first;
      if (bits >= 16) {
        if (at >= limit) return NotShorter;
        bits -= 16;
        buffer[at++] = pending >>> (bits + 8);
        buffer[at++] = pending >>> bits;
      }
      packed = ((code & 0xffff) << 5) | MAX_BITS;
    }
    const length = packed & 31;
    pending = (pending << length) | (packed >>> 5);
    bits += length;
    if (bits >= 16) {
      if (at >= limit) return NotShorter;
      bits -= 16;
      buffer[at++] = pending >>> (bits + 8);
      buffer[at++] = pending >>> bits;
    }
  }
  if (at + ((bits + 7) >>> 3) > limit) return NotShorter;
  if (bits >= 8) buffer[at++] = pending >>> (bits -= 8);
  if (bits > 0) buffer[at++] = (pending << (8 - bits)) | (0xff >>> bits);
  return at;
}
