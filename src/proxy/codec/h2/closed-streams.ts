/** How many streams that we reset are remembered: those whose last frames can still be on their way. */
const REMEMBERED = 1024;

/**
 * What has to be known of streams that are gone. Frames of one that we reset are ignored for a while, since the peer
 * hadn't heard of it when it sent them (RFC 9113 section 5.1); those of any other closed stream are errors.
 */
export class ClosedStreams {
  #reset: number[] | undefined = undefined;
  #next = 0;
  #opened = 0;
  #highest = 0;

  /** The peer has opened stream `id`. */
  opened(id: number): void {
    this.#opened++;
    this.#highest = id;
  }

  resetByUs(id: number): void {
    const reset = (this.#reset ??= []);
    reset[this.#next] = id;
    this.#next = (this.#next + 1) % REMEMBERED;
  }

  wasResetByUs(id: number): boolean {
    return this.#reset !== undefined && this.#reset.includes(id);
  }

  /**
   * Whether stream `id`, which isn't open, ever was. A client that counts in twos has used every identifier; of one
   * that left some out it can't be told, and is not supposed.
   */
  wasUsed(id: number, isServer: boolean): boolean {
    return !isServer || (id <= this.#highest && this.#opened * 2 - 1 === this.#highest);
  }
}
