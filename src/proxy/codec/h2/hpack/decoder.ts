import { DEFAULT_TABLE_SIZE, type HpackError, type HpackSink } from './hpack.ts';

/** The receiving half of HPACK (RFC 7541): header blocks in, fields out. Never throws on what came from the peer. */
export class HpackDecoder {
  /** `maxTableSize`: what the peer may use now; the default until it has acknowledged another setting. */
  constructor(maxTableSize: number = DEFAULT_TABLE_SIZE) {
    void maxTableSize;
  }

  /** The peer has acknowledged this SETTINGS_HEADER_TABLE_SIZE. */
  setMaxTableSize(size: number): void {
    void size;
  }

  /** Decodes the whole header block `block[from..to)` (fragments of CONTINUATION joined). The block is not kept. */
  decode(block: Buffer, from: number, to: number, sink: HpackSink): HpackError | undefined {
    void [block, from, to, sink];
    return undefined;
  }
}
