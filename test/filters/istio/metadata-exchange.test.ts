import { create, fromJson, toBinary, type JsonObject } from '@bufbuild/protobuf';
import { AnySchema, StructSchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MetadataExchangeSchema } from '../../../src/api/generated/istio/metadata_exchange_pb.js';
import { inertNetworkContext } from '../../../src/filters/inert-context.ts';
import { istioMetadataExchange } from '../../../src/filters/istio/metadata-exchange.ts';
import type { NetworkConnection, NetworkDataVerdict, NetworkFilter } from '../../../src/filters/network/filter.ts';

const PROTOCOL = 'istio-peer-exchange';

/** One connection on which ALPN has settled on `alpn`. */
function connect(alpn: string, direction: 'downstream' | 'upstream' = 'downstream') {
  const filterState = new Map<string, unknown>();
  const written: Buffer[] = [];
  const state = { isClosed: false };
  const connection = {
    info: { connection: { tls: { alpn } }, filterState },
    write: (chunk: Buffer) => void written.push(Buffer.from(chunk)),
    close: () => void (state.isClosed = true),
    get isClosed() {
      return state.isClosed;
    },
  } as unknown as NetworkConnection;
  const context = { ...inertNetworkContext(() => {}), direction };
  const config = create(MetadataExchangeSchema, { protocol: PROTOCOL });
  const filter = istioMetadataExchange.create(config, context)(connection)!;
  return { filter, filterState, written, state };
}

/** What goes on behind the filter of these pieces. */
function pass(filter: NetworkFilter, pieces: readonly Buffer[]): Buffer {
  const passed: Buffer[] = [];
  let detached = false;
  for (const piece of pieces) {
    const verdict: NetworkDataVerdict = detached ? 'detach' : filter.onData!(piece, false);
    detached ||= verdict === 'detach';
    if (typeof verdict === 'object') passed.push(Buffer.from(verdict));
    else if (verdict === 'detach' || verdict === 'continue') passed.push(piece);
  }
  return Buffer.concat(passed);
}

function greeting(fields: JsonObject): Buffer {
  const value = toBinary(StructSchema, fromJson(StructSchema, fields));
  const body = toBinary(AnySchema, create(AnySchema, { typeUrl: 'x/google.protobuf.Struct', value }));
  const header = Buffer.alloc(8);
  header.writeUInt32BE(0x3d230467, 0);
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}

/** Cut at these places, whatever their order. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (bytes.length + 1)))].toSorted((a, b) => a - b);
  return [...sorted, bytes.length].map((end, i) => bytes.subarray(i === 0 ? 0 : sorted[i - 1], end));
}

const name = fc.string().filter((text) => text !== '__proto__');
const places = fc.array(fc.nat(), { maxLength: 8 });

describe('what comes', () => {
  test('is passed on without what the peer tells, however it is cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.dictionary(name, fc.string()), places, (after, peer, at) => {
        const { filter, filterState } = connect(PROTOCOL, 'upstream');
        const sent = Buffer.concat([greeting({ 'x-envoy-peer-metadata': { ...peer } }), after]);
        expect(pass(filter, cut(sent, at))).toEqual(Buffer.from(after));
        expect(filterState.get('upstream_peer')).toEqual({ ...peer });
      }),
      { numRuns: 50 },
    );
  });

  test('is passed on as it is where nothing was agreed on, or something else comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 64 }), places, fc.boolean(), (sent, at, agreed) => {
        fc.pre(sent[0] !== 0x3d);
        const { filter, filterState, written } = connect(agreed ? PROTOCOL : 'h2');
        expect(pass(filter, cut(Buffer.from(sent), at))).toEqual(Buffer.from(sent));
        expect(filterState.get('peer_not_found')).toBe(true);
        expect(written.length).toBe(agreed ? 1 : 0);
      }),
      { numRuns: 50 },
    );
  });

  test('never makes it throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(80), places, (body, length, at) => {
        const { filter } = connect(PROTOCOL);
        const header = Buffer.alloc(8);
        header.writeUInt32BE(0x3d230467, 0);
        header.writeUInt32BE(length, 4);
        pass(filter, cut(Buffer.concat([header, body]), at));
      }),
      { numRuns: 100 },
    );
  });

  test('and ends in the midst of it is not held back', () => {
    const { filter } = connect(PROTOCOL);
    expect(filter.onData!(Buffer.from('abc'), false)).toHaveLength(0);
    expect(filter.onData!(Buffer.from('d'), true)).toEqual(Buffer.from('abcd'));
  });
});

describe('what is written', () => {
  test('waits for the handshake, then goes behind the greeting', () => {
    const { filter, written } = connect(PROTOCOL);
    expect(filter.onWrite!(Buffer.from('220 '), false)).toBe('stop');
    expect(filter.onWrite!(Buffer.from('ready'), true)).toBe('stop');
    expect(written).toEqual([]);
    filter.onHandshakeDone!();
    expect(written[0]!.readUInt32BE(0)).toBe(0x3d230467);
    expect(Buffer.concat(written.slice(1)).toString()).toBe('220 ready');
    expect(filter.onWrite!(Buffer.from('more'), false)).toBe('detach');
    expect(written.length).toBe(3);
  });

  test('goes as it is where nothing was agreed on', () => {
    const { filter, written } = connect('h2');
    filter.onHandshakeDone!();
    expect(filter.onWrite!(Buffer.from('x'), false)).toBe('detach');
    expect(written).toEqual([]);
  });
});
