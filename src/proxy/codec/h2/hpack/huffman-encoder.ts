import { HUFFMAN_CODES, HUFFMAN_LENGTHS } from './huffman-code.ts';

/** How many bytes `text` takes in Huffman code (RFC 7541 section 5.2). */
export function huffmanSize(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += HUFFMAN_LENGTHS[text.charCodeAt(i) & 0xff]!;
  return (bits + 7) >>> 3;
}

/** Writes `text` in Huffman code, padded with ones. There must be room. Returns where it ended. */
export function huffmanEncode(text: string, target: Buffer, at: number): number {
  // Never more than 7 bits are left over, but a code has up to 30: long ones go in two parts.
  let pending = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    let code = HUFFMAN_CODES[symbol]!;
    let length = HUFFMAN_LENGTHS[symbol]!;
    if (length > 16) {
      const high = length - 16;
      pending = (pending << high) | (code >>> 16);
      bits += high;
      while (bits >= 8) target[at++] = (pending >>> (bits -= 8)) & 0xff;
      code &= 0xffff;
      length = 16;
    }
    pending = (pending << length) | code;
    bits += length;
    while (bits >= 8) target[at++] = (pending >>> (bits -= 8)) & 0xff;
  }
  if (bits > 0) target[at++] = ((pending << (8 - bits)) | (0xff >>> bits)) & 0xff;
  return at;
}
