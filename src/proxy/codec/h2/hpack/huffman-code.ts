/**
 * The Huffman code of RFC 7541 appendix B. It is canonical (codes of one length count up with their symbols, each
 * length goes on where the shorter one stopped), so the lengths say it all.
 */

/** Bits of the code of each byte; the last is EOS. */
const LENGTHS =
  // prettier-ignore
  [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
  ];

export const EOS = 256;

/** The code of each symbol, right-aligned. */
export const HUFFMAN_CODES = codesOf(LENGTHS);
/** Its number of bits. */
export const HUFFMAN_LENGTHS = Uint8Array.from(LENGTHS);

function codesOf(lengths: readonly number[]): Uint32Array {
  const codes = new Uint32Array(lengths.length);
  // The first code of each length, less those of shorter ones; then one after the other in the order of the symbols.
  const next = new Uint32Array(32);
  for (const bits of lengths) next[bits + 1]!++;
  for (let bits = 1; bits <= 30; bits++) next[bits] = (next[bits]! + next[bits - 1]!) * 2;
  for (let symbol = 0; symbol < lengths.length; symbol++) codes[symbol] = next[lengths[symbol]!]!++;
  return codes;
}
