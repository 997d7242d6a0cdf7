/** Bytes being gathered in one buffer that grows: frames and the header blocks in them. */
export class ByteWriter {
  /** What is written is `bytes[0..size)`. Another buffer after `reserve`. */
  bytes: Buffer;
  size = 0;

  constructor(capacity: number) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
  }

  /** Makes room for `count` more bytes; writers then set `bytes` and `size` themselves. */
  reserve(count: number): void {
    if (this.size + count > this.bytes.length) this.#grow(this.size + count);
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.bytes.length));
    grown.set(this.bytes.subarray(0, this.size));
    this.bytes = grown;
  }
}
