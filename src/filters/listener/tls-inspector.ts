import {
  TlsInspectorSchema,
  type TlsInspector,
} from '../../api/generated/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js';
import { defineStats, type StatBlock } from '../../telemetry/stats/stats.ts';
import { ConfigError, protobufConfig } from '../config-type.ts';
import { ClientHelloReader, clientHelloFailureText, type ClientHello, type ClientHelloError } from './client-hello.ts';
import type { ListenerConnection, ListenerFilter, ListenerFilterType, ListenerVerdict } from './filter.ts';
import { ja3Fingerprint, ja4Fingerprint } from './tls-fingerprint.ts';

const STATS = defineStats({
  counters: [
    'alpn_found',
    'alpn_not_found',
    'client_hello_too_large',
    'sni_found',
    'sni_not_found',
    'tls_found',
    'tls_not_found',
  ],
  histograms: { bytes_processed: 'bytes' },
});
const AT = STATS.at;

const NAMESPACE = 'envoy.filters.listener.tls_inspector';
/** The most of a ClientHello that is looked at, records' headers included. */
const MOST_BYTES = 16_384;
const LEAST_MOST_BYTES = 256;
const TLS_1_0 = 0x0301;
const TLS_1_3 = 0x0304;

interface Settings {
  readonly stats: StatBlock;
  readonly ja3: boolean;
  readonly ja4: boolean;
  readonly closesOnErrors: boolean;
  readonly mostBytes: number;
}

/** envoy.filters.listener.tls_inspector: tells TLS from plain text, and reads SNI and ALPN. */
export const tlsInspector: ListenerFilterType<TlsInspector> = {
  name: NAMESPACE,
  config: protobufConfig(TlsInspectorSchema),
  create(config, { rootStats }) {
    const mostBytes = config.maxClientHelloSize ?? MOST_BYTES;
    if (mostBytes < LEAST_MOST_BYTES)
      throw new ConfigError(`value must be inside range (255, ${MOST_BYTES}]`, 'max_client_hello_size');
    if (mostBytes > MOST_BYTES)
      throw new ConfigError(`max_client_hello_size of ${mostBytes} is greater than maximum of ${MOST_BYTES}.`);
    const settings: Settings = {
      stats: rootStats.scope('tls_inspector.').block(STATS),
      ja3: config.enableJa3Fingerprinting ?? false,
      ja4: config.enableJa4Fingerprinting ?? false,
      closesOnErrors: config.closeConnectionOnClientHelloParsingErrors,
      mostBytes,
    };
    return (connection) => new TlsInspectorFilter(settings, connection);
  },
};

class TlsInspectorFilter implements ListenerFilter {
  readonly #settings: Settings;
  readonly #connection: ListenerConnection;
  readonly #reader = new ClientHelloReader();

  constructor(settings: Settings, connection: ListenerConnection) {
    this.#settings = settings;
    this.#connection = connection;
  }

  onAccept(): ListenerVerdict {
    return 'wait';
  }

  onData(bytes: Buffer): ListenerVerdict {
    const { stats, mostBytes } = this.#settings;
    const reader = this.#reader;
    const state = reader.read(bytes.length > mostBytes ? bytes.subarray(0, mostBytes) : bytes);
    if (state === 'more') {
      if (bytes.length < mostBytes) return 'wait';
      stats.record(AT.bytes_processed, reader.bytesProcessed);
      stats.inc(AT.client_hello_too_large);
      this.#connection.setDynamicMetadata(NAMESPACE, 'failure_reason', 'ClientHelloTooLarge');
      return 'close';
    }
    stats.record(AT.bytes_processed, reader.bytesProcessed);
    if (state === 'closed') return 'close';
    return reader.hello === undefined ? this.#onNoHello(reader.error!) : this.#onHello(reader.hello);
  }

  #onHello(hello: ClientHello): ListenerVerdict {
    const { stats, ja3, ja4 } = this.#settings;
    const connection = this.#connection;
    if (ja3 || ja4) connection.setTlsFingerprints(ja3 ? ja3Fingerprint(hello) : '', ja4 ? ja4Fingerprint(hello) : '');
    stats.inc(hello.serverName === '' ? AT.sni_not_found : AT.sni_found);
    if (hello.serverName !== '') connection.setServerName(hello.serverName);
    if (hello.applicationProtocols !== undefined) connection.setApplicationProtocols(hello.applicationProtocols);
    if (hello.version < TLS_1_0 || hello.version > TLS_1_3) {
      this.#count('CONNECTION_REJECTED', 'ClientHelloInvalidTlsVersion');
      return 'close';
    }
    stats.inc(AT.tls_found);
    stats.inc(hello.applicationProtocols === undefined ? AT.alpn_not_found : AT.alpn_found);
    connection.setTransportProtocol('tls');
    return 'continue';
  }

  #onNoHello(error: ClientHelloError): ListenerVerdict {
    this.#count(error, 'ClientHelloNotDetected');
    return this.#settings.closesOnErrors ? 'close' : 'continue';
  }

  #count(error: ClientHelloError, reason: string): void {
    this.#settings.stats.inc(AT.tls_not_found);
    this.#connection.setDynamicMetadata(NAMESPACE, 'failure_reason', reason);
    this.#connection.setTransportFailureReason(clientHelloFailureText(error));
  }
}
