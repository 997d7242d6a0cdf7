import { EOS, HUFFMAN_CODES, HUFFMAN_LENGTHS } from './huffman-code.ts';

/** No path through the code leads on: EOS, which must not occur (RFC 7541 section 5.2). */
const FAILED = 0x4000_0000;
/** One completed symbol. */
const ONE = 0x0100_0000;

/**
 * Decodes Huffman code by the byte. The code has 256 inner nodes, which are the states; `steps[state * 256 + byte]`
 * says where that byte leads and which symbols it completes, at most two, because the shortest code has five bits:
 * bits 0-7 next state, 8-15 first symbol, 16-23 second symbol, 24-25 how many.
 */
export class HuffmanDecoder {
  readonly #steps: Uint32Array;
  /** 1 = the input may end here: what is left over is less than a byte of ones. */
  readonly #final = new Uint8Array(256);

  constructor() {
    this.#steps = this.#build();
  }

  /**
   * Decodes `source[from..to)` to `target` from its start, which must have room for `room(to - from)` bytes. Returns the
   * number of bytes, or -1: not valid.
   */
  decode(source: Buffer, from: number, to: number, target: Buffer): number {
    const steps = this.#steps;
    let state = 0;
    let size = 0;
    for (let i = from; i < to; i++) {
      const step = steps[(state << 8) | source[i]!]!;
      target[size] = step >>> 8;
      target[size + 1] = step >>> 16;
      size += (step >>> 24) & 3;
      if (step >= FAILED) return -1;
      state = step & 0xff;
    }
    return this.#final[state] === 1 ? size : -1;
  }

  /** Bytes that the decoded form of `size` bytes can take, with what is written beyond the end. */
  static room(size: number): number {
    return 2 * size + 2;
  }

  #build(): Uint32Array {
    // The tree: children[2 * node + bit] is an inner node, or ~symbol.
    const children: number[] = [0, 0];
    const ones = [0];
    for (let symbol = 0; symbol <= EOS; symbol++) {
      let node = 0;
      for (let bit = HUFFMAN_LENGTHS[symbol]! - 1; bit >= 0; bit--) {
        const edge = 2 * node + ((HUFFMAN_CODES[symbol]! >>> bit) & 1);
        if (bit === 0) children[edge] = ~symbol;
        else {
          if (children[edge] === 0) {
            children[edge] = children.length / 2;
            children.push(0, 0);
          }
          node = children[edge]!;
        }
      }
    }
    // The nodes that one to seven ones from the root lead to.
    for (let i = 0; i < 7; i++) ones.push(children[2 * ones.at(-1)! + 1]!);
    for (const node of ones) this.#final[node] = 1;

    // Four bits complete one symbol at most: what they do is put together to what eight do.
    const byNibble = new Uint32Array(256 * 16);
    for (let i = 0; i < byNibble.length; i++) {
      let node = i >>> 4;
      let symbol = 0;
      for (let bit = 3; bit >= 0; bit--) {
        node = children[2 * node + ((i >>> bit) & 1)]!;
        if (node >= 0) continue;
        symbol |= ~node === EOS ? FAILED : (~node << 8) | ONE;
        node = 0;
      }
      byNibble[i] = symbol | node;
    }
    const steps = new Uint32Array(256 * 256);
    for (let i = 0; i < steps.length; i++) {
      const first = byNibble[i >>> 4]!;
      const second = byNibble[((first & 0xff) << 4) | (i & 0xf)]!;
      const symbols = (first & ONE) === 0 ? second & 0xff00 : (first & 0xff00) | ((second & 0xff00) << 8);
      steps[i] = ((first | second) & FAILED) | ((first & ONE) + (second & ONE)) | symbols | (second & 0xff);
    }
    return steps;
  }
}
