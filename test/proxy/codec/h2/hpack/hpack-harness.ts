import { ByteWriter } from '../../../../../src/proxy/codec/h2/hpack/byte-writer.ts';
import type { HpackDecoder } from '../../../../../src/proxy/codec/h2/hpack/decoder.ts';
import type { HpackEncoder } from '../../../../../src/proxy/codec/h2/hpack/encoder.ts';
import type { HpackError } from '../../../../../src/proxy/codec/h2/hpack/hpack.ts';

export type Field = readonly [name: string, value: string];

export interface Decoded {
  readonly error: HpackError | undefined;
  readonly fields: Field[];
  readonly flaws: number[];
}

/** Decodes one block; `limit`: after how many fields the sink has enough. */
export function decodeBlock(decoder: HpackDecoder, block: Uint8Array, limit = Infinity): Decoded {
  const fields: Field[] = [];
  const flaws: number[] = [];
  // Somewhere in a larger buffer, as blocks are.
  const buffer = Buffer.concat([Buffer.from('##'), block, Buffer.from('##')]);
  const error = decoder.decode(buffer, 2, 2 + block.length, {
    onField(name, value, flaw) {
      fields.push([name, value]);
      flaws.push(flaw);
      return fields.length < limit;
    },
  });
  return { error, fields, flaws };
}

export function encodeBlock(encoder: HpackEncoder, fields: readonly Field[]): Buffer {
  const out = new ByteWriter(4);
  out.bytes.write('##', 'latin1');
  out.size = 2;
  encoder.begin(out);
  for (const [name, value] of fields) encoder.field(name, value);
  return out.bytes.subarray(2, out.size);
}

export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}
