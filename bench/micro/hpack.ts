/**
 * What HPACK costs: header blocks of usual requests and responses, the first of a connection, the same again, and with
 * the values that change each time. `node bench/micro/hpack.ts`
 */
import { ByteWriter } from '../../src/proxy/codec/h2/hpack/byte-writer.ts';
import { HpackDecoder } from '../../src/proxy/codec/h2/hpack/decoder.ts';
import { HpackEncoder } from '../../src/proxy/codec/h2/hpack/encoder.ts';

type Fields = readonly (readonly [name: string, value: string])[];

const request: Fields = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', 'example.com'],
  [':path', '/svc3/hello?x=1'],
  ['user-agent', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36'],
  ['accept', '*/*'],
  ['accept-encoding', 'gzip, deflate, br'],
  ['cookie', 'sid=0123456789abcdef; theme=dark'],
  ['x-forwarded-for', '10.1.2.3'],
  ['x-forwarded-proto', 'https'],
];
const response: Fields = [
  [':status', '200'],
  ['content-type', 'application/json'],
  ['content-length', '128'],
  ['date', 'Sat, 21 Nov 2026 06:30:59 GMT'],
  ['server', 'envoy'],
  ['x-envoy-upstream-service-time', '3'],
];
/** As many as a generator of request ids makes in a while. */
const ids = Array.from({ length: 1024 }, (_, i) => {
  const digits = Math.imul(i + 1, 2654435761)
    .toString(16)
    .padStart(12, '0')
    .slice(-12);
  return `6c1c1b3e-5b0c-4b6e-9c3f-${digits}`;
});
const sink = {
  fields: 0,
  onField(): boolean {
    this.fields++;
    return true;
  },
};

function encode(encoder: HpackEncoder, out: ByteWriter, fields: Fields): void {
  out.size = 0;
  encoder.begin(out);
  for (let i = 0; i < fields.length; i++) encoder.field(fields[i]![0], fields[i]![1]);
}

function blockOf(encoder: HpackEncoder, fields: Fields): Buffer {
  const out = new ByteWriter(1024);
  encode(encoder, out, fields);
  return out.bytes.subarray(0, out.size);
}

function encoding(name: string, fields: Fields, changing: boolean): void {
  const encoder = new HpackEncoder();
  const out = new ByteWriter(4096);
  let round = 0;
  measure(`${name}, encoded`, 200_000, () => {
    encode(encoder, out, fields);
    if (changing) encoder.field('x-request-id', ids[round++ & 1023]!);
  });
}

function decoding(name: string, fields: Fields, changing: boolean): void {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  // Until what is indexed when it comes again is indexed.
  for (let i = 0; i < 3; i++) {
    const block = blockOf(encoder, fields);
    decoder.decode(block, 0, block.length, sink);
  }
  const blocks = ids.map((id) => blockOf(encoder, changing ? [...fields, ['x-request-id', id]] : fields));
  let round = 0;
  measure(`${name}, decoded`, 200_000, () => {
    const block = blocks[round++ & 1023]!;
    decoder.decode(block, 0, block.length, sink);
  });
}

const first = blockOf(new HpackEncoder(), request);
const out = new ByteWriter(4096);
measure('first request, encoded', 20_000, () => encode(new HpackEncoder(), out, request));
measure('first request, decoded', 20_000, () => new HpackDecoder().decode(first, 0, first.length, sink));
encoding('request', request, false);
decoding('request', request, false);
encoding('request with a new id', request, true);
decoding('request with a new id', request, true);
encoding('response', response, false);
decoding('response', response, false);
if (sink.fields === 0) throw new Error('nothing was read');

function measure(name: string, rounds: number, body: () => void): void {
  let best = Infinity;
  for (let attempt = 0; attempt < 10; attempt++) {
    const start = performance.now();
    for (let i = 0; i < rounds; i++) body();
    best = Math.min(best, ((performance.now() - start) * 1e6) / rounds);
  }
  console.log(`${name.padEnd(30)} ${best.toFixed(0).padStart(8)} ns`);
}
