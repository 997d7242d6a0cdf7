/**
 * What the halves of HPACK (RFC 7541) share. Both sides work on one connection's header blocks in the order of the
 * wire; the strings are latin1 text, one character a byte.
 */

/** A field as it was decoded. The codec judges the whole section; what concerns one field alone is judged here, once an entry. */
export interface HpackSink {
  /**
   * One field, in order; pseudo-header fields included. A field from a table costs no allocation. `flaws` has FieldFlaw's
   * bits. False: no more fields of this block are wanted (a limit was hit). The rest is still decoded, for the
   * state of the table, but no strings are built that aren't needed for it.
   */
  onField(name: string, value: string, flaws: number): boolean;
}

/** Bits of what is wrong with a field (RFC 9113 section 8.2.1); 0 = nothing. */
export const FieldFlaw = {
  /** Empty, in upper case, or with a byte that no name can have. A colon in front is no flaw. */
  name: 1,
  /** A control character but tab in the value, DEL included. */
  value: 2,
  /** Blanks at an end of the value. */
  padding: 4,
} as const;

/** Why a block can't be decoded. Every one is a connection error of type COMPRESSION_ERROR. */
export type HpackError =
  | 'truncated header block'
  | 'integer too large'
  | 'invalid Huffman code'
  | 'invalid index'
  | 'misplaced table size update'
  | 'table size update too large'
  | 'missing table size update';

/** SETTINGS_HEADER_TABLE_SIZE as long as no other was sent (RFC 9113 section 6.5.2). */
export const DEFAULT_TABLE_SIZE = 4096;

/** What an entry counts for beyond its text (RFC 7541 section 4.1). */
export const ENTRY_OVERHEAD = 32;
