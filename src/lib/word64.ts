/** An unsigned 64-bit integer that changes in place: the arithmetic of hashes, several times as fast as with bigints. */
export class Word64 {
  /** The upper and lower halves, as signed 32-bit integers. */
  high: number;
  low: number;

  constructor(high: number, low: number) {
    this.high = high | 0;
    this.low = low | 0;
  }

  static of(value: bigint): Word64 {
    return new Word64(Number(BigInt.asIntN(32, value >> 32n)), Number(BigInt.asIntN(32, value)));
  }

  toBigInt(): bigint {
    return (BigInt(this.high >>> 0) << 32n) | BigInt(this.low >>> 0);
  }

  set(other: Word64): this {
    this.high = other.high;
    this.low = other.low;
    return this;
  }

  add(other: Word64): this {
    const low = (this.low >>> 0) + (other.low >>> 0);
    this.high = (this.high + other.high + (low > 0xffffffff ? 1 : 0)) | 0;
    this.low = low | 0;
    return this;
  }

  addNumber(value: number): this {
    const low = (this.low >>> 0) + value;
    if (low > 0xffffffff) this.high = (this.high + 1) | 0;
    this.low = low | 0;
    return this;
  }

  xor(other: Word64): this {
    this.high ^= other.high;
    this.low ^= other.low;
    return this;
  }

  multiply({ high, low }: Word64): this {
    const a = this.low;
    const a0 = a & 0xffff;
    const a1 = a >>> 16;
    const b0 = low & 0xffff;
    const b1 = low >>> 16;
    const low0 = Math.imul(a0, b0) >>> 0;
    const middle = Math.imul(a1, b0) >>> 0;
    const other = (Math.imul(a0, b1) >>> 0) + (low0 >>> 16) + (middle & 0xffff);
    // The other product can't carry beyond 2^32 with what was added to it (0xfffe0001 + 2 * 0xffff).
    const carry = Math.imul(a1, b1) + (middle >>> 16) + (other >>> 16);
    this.high = (carry + Math.imul(this.high, low) + Math.imul(a, high)) | 0;
    this.low = Math.imul(a, low);
    return this;
  }

  /** 0 < bits < 32 */
  rotateLeft(bits: number): this {
    const { high, low } = this;
    this.high = (high << bits) | (low >>> (32 - bits));
    this.low = (low << bits) | (high >>> (32 - bits));
    return this;
  }

  /** Logical; xors the shifted value in. */
  xorShiftRight(bits: number): this {
    const { high, low } = this;
    if (bits < 32) {
      this.high ^= high >>> bits;
      this.low ^= (low >>> bits) | (high << (32 - bits));
    } else this.low ^= high >>> (bits - 32);
    return this;
  }
}
