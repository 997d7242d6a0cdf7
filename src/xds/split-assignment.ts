/** Field numbers of ClusterLoadAssignment and LocalityLbEndpoints. */
const ENDPOINTS = 2;
const LB_ENDPOINTS = 2;
/** The wire type. */
const LENGTH_DELIMITED = 2;

/** A serialised ClusterLoadAssignment, its endpoints apart. */
export interface SplitAssignment {
  /** The same message without any LbEndpoint. */
  readonly rest: Uint8Array;
  /** By locality: its LbEndpoints, serialised. */
  readonly endpoints: readonly (readonly Uint8Array[])[];
}

/**
 * Takes the endpoints out of a serialised ClusterLoadAssignment without decoding them, so that those that are known can
 * be recognised by their bytes. Undefined: it isn't well-formed; decoding it says why.
 */
export function splitAssignment(bytes: Uint8Array): SplitAssignment | undefined {
  const rest: Uint8Array[] = [];
  const endpoints: Uint8Array[][] = [];
  const outer = new FieldWalk(bytes);
  while (outer.next()) {
    if (outer.field !== ENDPOINTS || outer.wireType !== LENGTH_DELIMITED) {
      rest.push(outer.whole);
      continue;
    }
    const group = outer.content;
    const found: Uint8Array[] = [];
    const kept: Uint8Array[] = [];
    let length = 0;
    const inner = new FieldWalk(group);
    while (inner.next()) {
      if (inner.field === LB_ENDPOINTS && inner.wireType === LENGTH_DELIMITED) found.push(inner.content);
      else {
        kept.push(inner.whole);
        length += inner.whole.length;
      }
    }
    if (!inner.isComplete) return undefined;
    endpoints.push(found);
    rest.push(Uint8Array.of((ENDPOINTS << 3) | LENGTH_DELIMITED, ...varint(length)), ...kept);
  }
  return outer.isComplete ? { rest: Buffer.concat(rest), endpoints } : undefined;
}

/** Steps from field to field of one serialised message. */
class FieldWalk {
  field = 0;
  wireType = 0;
  /** The field with its tag. */
  whole: Uint8Array = new Uint8Array();
  /** Without tag and length; only of length-delimited fields. */
  content: Uint8Array = new Uint8Array();
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** All was read, and it was well-formed. */
  get isComplete(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** False: there are no more, or what follows is no field. */
  next(): boolean {
    const bytes = this.#bytes;
    const start = this.#at;
    if (start >= bytes.length) return false;
    const tag = this.#varint();
    this.field = Math.floor(tag / 8);
    this.wireType = tag % 8;
    let end: number;
    let contentStart = this.#at;
    if (this.wireType === LENGTH_DELIMITED) {
      const length = this.#varint();
      contentStart = this.#at;
      end = contentStart + length;
    } else if (this.wireType === 0) {
      this.#varint();
      end = this.#at;
    } else if (this.wireType === 1) end = this.#at + 8;
    else if (this.wireType === 5) end = this.#at + 4;
    else end = NaN;
    if (!(end <= bytes.length) || !(this.field > 0)) {
      this.#at = start;
      return false;
    }
    this.#at = end;
    this.whole = bytes.subarray(start, end);
    this.content = bytes.subarray(contentStart, end);
    return true;
  }

  /** NaN past the end. */
  #varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      if (this.#at >= this.#bytes.length) return NaN;
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  }
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return [...bytes, left];
    bytes.push((left % 128) | 0x80);
  }
}
