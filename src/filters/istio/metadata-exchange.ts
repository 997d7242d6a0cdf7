import { fromBinary, type JsonObject } from '@bufbuild/protobuf';
import { AnySchema, StructSchema } from '@bufbuild/protobuf/wkt';
import { MetadataExchangeSchema, type MetadataExchange } from '../../api/generated/istio/metadata_exchange_pb.js';
import { defineStats, type StatBlock } from '../../telemetry/stats/stats.ts';
import { protobufConfig } from '../config-type.ts';
import {
  ContinueChain,
  DetachChain,
  StopIteration,
  type NetworkConnection,
  type NetworkDataVerdict,
  type NetworkFactoryContext,
  type NetworkFilter,
  type NetworkFilterType,
  type NetworkWriteVerdict,
} from '../network/filter.ts';
import { encodeLocalPeer } from './local-peer.ts';
import { decodeStruct, DOWNSTREAM_PEER, keepPeer, NO_PEER, PEER, PEER_ID, UPSTREAM_PEER } from './peer.ts';

const MAGIC = 0x3d230467;
const HEADER_BYTES = 8;
/** Of what a peer tells of itself. */
const MAX_BYTES = 1 << 20;
const EMPTY = Buffer.alloc(0);

const STATS = defineStats({
  counters: [
    'alpn_protocol_not_found',
    'alpn_protocol_found',
    'initial_header_not_found',
    'header_not_found',
    'metadata_added',
  ],
});

/**
 * istio.metadata_exchange, downstream and as a filter of a cluster: where ALPN has settled on `protocol`, each side of
 * a connection sends who it is before its first byte: a magic number, a length, and an Any of a Struct. What the peer
 * sent goes no further; it is kept as filter state. Nobody is looked up (`enable_discovery`).
 */
export const istioMetadataExchange: NetworkFilterType<MetadataExchange> = {
  name: 'istio.metadata_exchange',
  config: protobufConfig(MetadataExchangeSchema),
  create(config, context) {
    if (config.enableDiscovery) context.unsupported('enable_discovery');
    const exchange = new Exchange(config, context);
    return (connection) => new MetadataExchangeFilter(exchange, connection);
  },
};

/** One config. */
class Exchange {
  readonly protocol: string;
  /** The filter state for what peers tell. */
  readonly key: string;
  readonly greeting: Buffer;
  readonly stats: StatBlock;

  constructor({ protocol, additionalLabels }: MetadataExchange, context: NetworkFactoryContext) {
    this.protocol = protocol;
    this.key = context.direction === 'upstream' ? UPSTREAM_PEER : DOWNSTREAM_PEER;
    const body = encodeLocalPeer(context.node, additionalLabels);
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32BE(MAGIC, 0);
    header.writeUInt32BE(body.length, 4);
    this.greeting = Buffer.concat([header, body]);
    this.stats = context.rootStats.block(STATS, 'metadata_exchange.');
  }
}

class MetadataExchangeFilter implements NetworkFilter {
  readonly #exchange: Exchange;
  readonly #connection: NetworkConnection;
  /** Undefined: nothing was read or written yet. */
  #agreed: boolean | undefined = undefined;
  /** The beginning of what the peer tells, as far as it has come. */
  #bytes: Buffer | undefined = undefined;
  #read = false;
  #handshakeDone = false;
  /** Written before the handshake was done. */
  #held: Buffer[] | undefined = undefined;
  #heldEnd = false;

  constructor(exchange: Exchange, connection: NetworkConnection) {
    this.#exchange = exchange;
    this.#connection = connection;
  }

  onHandshakeDone(): void {
    this.#handshakeDone = true;
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    this.#begin();
    for (const [index, chunk] of held.entries())
      this.#connection.write(chunk, this.#heldEnd && index === held.length - 1);
  }

  onWrite(chunk: Buffer, endStream: boolean): NetworkWriteVerdict {
    if (this.#handshakeDone) {
      this.#begin();
      return DetachChain;
    }
    // A server that speaks first: nobody knows yet whether to speak before it.
    (this.#held ??= []).push(Buffer.from(chunk));
    this.#heldEnd = endStream;
    return StopIteration;
  }

  onData(chunk: Buffer, endStream: boolean): NetworkDataVerdict {
    if (!this.#begin() || this.#read) return DetachChain;
    const bytes = this.#bytes === undefined ? chunk : Buffer.concat([this.#bytes, chunk]);
    const rest = this.#readPeer(bytes);
    if (rest !== undefined) {
      this.#read = true;
      this.#bytes = undefined;
      return rest;
    }
    // It has ended in the midst of it: nothing is kept from whoever comes next.
    if (endStream) return bytes;
    if (this.#connection.isClosed) return ContinueChain;
    this.#bytes = bytes === chunk ? Buffer.from(chunk) : bytes;
    return EMPTY;
  }

  /** Whether there is an exchange. The first call tells the peer who we are. */
  #begin(): boolean {
    if (this.#agreed !== undefined) return this.#agreed;
    const { protocol, greeting, stats } = this.#exchange;
    const { info } = this.#connection;
    this.#agreed = (info.connection.tls?.alpn ?? '') === protocol;
    if (!this.#agreed) {
      stats.inc(STATS.at.alpn_protocol_not_found);
      info.filterState.set(NO_PEER, true);
      return false;
    }
    stats.inc(STATS.at.alpn_protocol_found);
    this.#connection.write(greeting, false);
    stats.inc(STATS.at.metadata_added);
    return true;
  }

  /** What follows the peer's metadata; undefined: more has to come. */
  #readPeer(bytes: Buffer): Buffer | undefined {
    const { stats } = this.#exchange;
    if (bytes.length < HEADER_BYTES) {
      stats.inc(STATS.at.initial_header_not_found);
      return undefined;
    }
    if (bytes.readUInt32BE(0) !== MAGIC) {
      stats.inc(STATS.at.initial_header_not_found);
      return this.#withoutPeer(bytes);
    }
    const length = bytes.readUInt32BE(4);
    if (length > MAX_BYTES) {
      stats.inc(STATS.at.header_not_found);
      this.#connection.close('abort', 'metadata_exchange_too_long');
      return undefined;
    }
    const end = HEADER_BYTES + length;
    if (bytes.length < end) return undefined;
    const peer = decodePeer(bytes.subarray(HEADER_BYTES, end));
    if (peer === undefined) {
      stats.inc(STATS.at.header_not_found);
      return this.#withoutPeer(bytes.subarray(HEADER_BYTES));
    }
    const { [PEER]: told, [PEER_ID]: id } = peer;
    if (isObject(told))
      keepPeer(this.#connection.info, this.#exchange.key, told, typeof id === 'string' ? id : undefined);
    return bytes.subarray(end);
  }

  #withoutPeer(rest: Buffer): Buffer {
    this.#connection.info.filterState.set(NO_PEER, true);
    return rest;
  }
}

function decodePeer(bytes: Buffer): JsonObject | undefined {
  try {
    const { typeUrl, value } = fromBinary(AnySchema, bytes);
    return typeUrl.endsWith(`/${StructSchema.typeName}`) ? decodeStruct(value) : undefined;
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
