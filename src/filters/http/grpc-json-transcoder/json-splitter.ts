import { TranscodingError } from './request-weaver.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Cuts a JSON array that comes in pieces into the texts of its elements. */
export class JsonSplitter {
  #held = '';
  /** How far into `#held` it has been looked at. */
  #at = 0;
  #depth = 0;
  #inString = false;
  #state: 'before' | 'first' | 'element' | 'after' = 'before';
  readonly #decoder = new TextDecoder();

  /** Elements that are complete. Throws TranscodingError. */
  push(chunk: Buffer, end: boolean): string[] {
    this.#held += this.#decoder.decode(chunk, { stream: !end });
    const elements: string[] = [];
    while (this.#at < this.#held.length) this.#step(elements);
    if (end && this.#state !== 'after' && !(this.#state === 'before' && this.#held.trim() === ''))
      throw new TranscodingError('Unexpected end of string. Expected a value.');
    return elements;
  }

  /** Characters of an element that isn't complete. */
  get pending(): number {
    return this.#held.length;
  }

  #step(elements: string[]): void {
    const code = this.#held.charCodeAt(this.#at++);
    if (this.#inString) {
      if (code === BACKSLASH) this.#at++;
      else if (code === QUOTE) this.#inString = false;
      return;
    }
    switch (this.#state) {
      case 'before':
        if (isSpace(code)) return;
        if (code !== 0x5b) throw new TranscodingError('Expected an array of messages.');
        this.#state = 'first';
        this.#drop();
        return;
      case 'after':
        if (!isSpace(code)) throw new TranscodingError('Parsing terminated before end of input.');
        return;
      default:
        this.#stepInArray(code, elements);
    }
  }

  #stepInArray(code: number, elements: string[]): void {
    if (code === QUOTE) this.#inString = true;
    else if (code === 0x7b || code === 0x5b) this.#depth++;
    else if (this.#depth > 0) {
      if (code === 0x7d || code === 0x5d) this.#depth--;
    } else if (code === 0x2c || code === 0x5d) {
      const text = this.#held.slice(0, this.#at - 1).trim();
      if (text !== '') elements.push(text);
      // A comma behind the last element is let through, as protobuf's parser does.
      else if (code === 0x2c) throw new TranscodingError('Expected a value.');
      this.#state = code === 0x2c ? 'element' : 'after';
      this.#drop();
    }
  }

  #drop(): void {
    this.#held = this.#held.slice(this.#at);
    this.#at = 0;
  }
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
