import {
  HttpInspectorSchema,
  type HttpInspector,
} from '../../api/generated/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js';
import { defineStats, type StatBlock } from '../../telemetry/stats/stats.ts';
import { protobufConfig } from '../config-type.ts';
import type { ListenerConnection, ListenerFilter, ListenerFilterType, ListenerVerdict } from './filter.ts';

const STATS = defineStats({
  counters: ['http10_found', 'http11_found', 'http2_found', 'http_not_found', 'read_error'],
});
const AT = STATS.at;

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** The longest request line. */
const MOST_BYTES = 65_536;
const LF = 0x0a;
const CR = 0x0d;

/** RFC 9110 section 5.6.2: the characters of a method. */
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const METHOD_START = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]/;
/** origin-form, absolute-form or asterisk-form. */
// oxlint-disable-next-line no-control-regex
const TARGET = /^(?:\/|\*$|[A-Za-z][A-Za-z0-9+.-]*:\/\/)[^\x00-\x20\x7f]*$/;
// oxlint-disable-next-line no-control-regex
const AUTHORITY = /^[^\x00-\x20\x7f/]+$/;
const VERSION = /^HTTP\/(\d)\.(\d)$/;

/** envoy.filters.listener.http_inspector: tells which HTTP version a plain connection begins with, if any. */
export const httpInspector: ListenerFilterType<HttpInspector> = {
  name: 'envoy.filters.listener.http_inspector',
  config: protobufConfig(HttpInspectorSchema),
  create(_config, { rootStats }) {
    const stats = rootStats.scope('http_inspector.').block(STATS);
    return (connection) => new HttpInspectorFilter(stats, connection);
  },
};

type Found = 'h2c' | 'http/1.1' | 'http/1.0' | 'none' | 'more';

class HttpInspectorFilter implements ListenerFilter {
  readonly #stats: StatBlock;
  readonly #connection: ListenerConnection;
  /** Bytes that hold no end of a line. */
  #searched = 0;

  constructor(stats: StatBlock, connection: ListenerConnection) {
    this.#stats = stats;
    this.#connection = connection;
  }

  onAccept(): ListenerVerdict {
    const { transportProtocol } = this.#connection;
    return transportProtocol === '' || transportProtocol === 'raw_buffer' ? 'wait' : 'continue';
  }

  onData(bytes: Buffer): ListenerVerdict {
    const found = this.#detect(bytes);
    const stats = this.#stats;
    if (found === 'more') {
      if (bytes.length < MOST_BYTES) return 'wait';
      stats.inc(AT.read_error);
      return 'close';
    }
    if (found === 'none') stats.inc(AT.http_not_found);
    else {
      stats.inc(found === 'h2c' ? AT.http2_found : found === 'http/1.1' ? AT.http11_found : AT.http10_found);
      this.#connection.setApplicationProtocols([found]);
    }
    return 'continue';
  }

  #detect(bytes: Buffer): Found {
    const start = bytes.toString('latin1', 0, PREFACE.length);
    if (PREFACE.startsWith(start)) return start.length === PREFACE.length ? 'h2c' : 'more';
    if (!METHOD_START.test(start)) return 'none';
    const end = bytes.indexOf(LF, this.#searched);
    this.#searched = bytes.length;
    if (end === -1) return 'more';
    return ofRequestLine(bytes.toString('latin1', 0, bytes[end - 1] === CR ? end - 1 : end));
  }
}

/** The version that a request line asks for; one without a version is HTTP/0.9, which counts as 1.0. */
function ofRequestLine(line: string): Found {
  const [method = '', target = '', version, ...rest] = line.split(/[ \t]+/);
  if (rest.length > 0 || !METHOD.test(method)) return 'none';
  if (!TARGET.test(target) && !(method === 'CONNECT' && AUTHORITY.test(target))) return 'none';
  if (version === undefined || version === '') return 'http/1.0';
  const match = VERSION.exec(version);
  if (match === null) return 'none';
  return match[1] === '1' && match[2] === '1' ? 'http/1.1' : 'http/1.0';
}
