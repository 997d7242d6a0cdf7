import type { ByteWriter } from './byte-writer.ts';
import { DEFAULT_TABLE_SIZE } from './hpack.ts';

/**
 * The sending half of HPACK (RFC 7541). A block is `begin`, then each field in order; its bytes are those that were
 * added to the writer since. Blocks must leave in the order they were begun.
 */
export class HpackEncoder {
  /** `maxTableSize`: the most that we use, whatever the peer allows. 0 turns the dynamic table off. */
  constructor(maxTableSize: number = DEFAULT_TABLE_SIZE) {
    void maxTableSize;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE came; call when it is acknowledged. */
  setPeerMaxTableSize(size: number): void {
    void size;
  }

  /** Starts a block in `out`, behind what is there (a frame header). `out` is used until the next `begin`. */
  begin(out: ByteWriter): void {
    void out;
  }

  /** `name` in lower case, pseudo-header fields with their colon. */
  field(name: string, value: string): void {
    void [name, value];
  }

  /** `:status`, without making a string of it. */
  status(code: number): void {
    void code;
  }
}
