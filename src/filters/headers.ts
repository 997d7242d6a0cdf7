/** A header field as [lower-case name, value]. Values are latin1 text: one character per byte on the wire. */
export type HeaderField = readonly [name: string, value: string];
export type HeaderList = readonly HeaderField[];

/**
 * The header fields (or trailers) of one message. Names are lower-case; order and duplicates are kept. The pseudo-header
 * fields `:method`, `:path`, `:authority`, `:scheme`, `:protocol` (requests) and `:status` (responses) can be read and
 * written by name as well; an unset one is absent.
 */
export interface Headers {
  /** The first value of `name`, or undefined. */
  get(name: string): string | undefined;
  /** Every value of `name`, in order. */
  getAll(name: string): string[];
  has(name: string): boolean;
  /** Replaces all fields called `name` by one. It takes the place of the first, else the end. */
  set(name: string, value: string): void;
  /** Adds a field at the end, whatever is there already. */
  append(name: string, value: string): void;
  /** Removes all fields called `name`; true if there was one. */
  delete(name: string): boolean;
  /** Regular (not pseudo) fields in order. */
  entries(): IterableIterator<HeaderField>;
  /** The number of regular fields. */
  readonly size: number;
  /** Bytes as Envoy counts them: names and values, pseudo-header fields included. */
  byteSize(): number;
}
