import {
  ProxyProtocolConfig_Version,
  ProxyProtocolPassThroughTLVs_PassTLVsMatchType as Match,
} from '../../api/generated/envoy/config/core/v3/proxy_protocol_pb.js';
import {
  ProxyProtocolSchema,
  type ProxyProtocol,
} from '../../api/generated/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js';
import { defineStats, type Counter, type StatBlock, type StatsScope } from '../../telemetry/stats/stats.ts';
import { ConfigError, protobufConfig } from '../config-type.ts';
import type { ListenerConnection, ListenerFilter, ListenerFilterType, ListenerVerdict } from './filter.ts';
import {
  mayBeHeader,
  parseProxyProtocolHeader,
  proxyProtocolVersion,
  readTlvs,
  type ProxyProtocolHeader,
} from './proxy-protocol-header.ts';

const STATS = defineStats({ counters: ['not_found_allowed', 'not_found_disallowed'] });
const VERSION_STATS = defineStats({ counters: ['disallowed', 'error', 'found'] });
const VERSION_AT = VERSION_STATS.at;

const NAMESPACE = 'envoy.filters.listener.proxy_protocol';

interface Settings {
  readonly stats: StatBlock;
  readonly versions: Readonly<Record<1 | 2, StatBlock>>;
  /** Kept by Envoy for those who know no better. */
  readonly errors: Counter;
  /** By type: where the value goes in the dynamic metadata. */
  readonly rules: ReadonlyMap<number, { readonly namespace: string; readonly key: string }>;
  readonly passesTlv: (type: number) => boolean;
  readonly allowsNone: boolean;
  readonly allows: Readonly<Record<1 | 2, boolean>>;
}

/** envoy.filters.listener.proxy_protocol: takes the addresses of a connection from the PROXY protocol header before it. */
export const proxyProtocol: ListenerFilterType<ProxyProtocol> = {
  name: NAMESPACE,
  config: protobufConfig(ProxyProtocolSchema),
  create(config, { rootStats }) {
    const settings = compile(config, rootStats);
    if (!settings.allows[1] && !settings.allows[2])
      throw new ConfigError('Proxy Protocol filter cannot disallow all versions.', 'disallowed_versions');
    return (connection) => new ProxyProtocolFilter(settings, connection);
  },
};

function compile(config: ProxyProtocol, rootStats: StatsScope): Settings {
  const { statPrefix, passThroughTlvs: pass, disallowedVersions } = config;
  const scope = rootStats.scope(statPrefix === '' ? 'proxy_proto.' : `proxy_proto.${statPrefix}.`);
  const passed = new Set((pass?.tlvType ?? []).map((type) => type & 0xff));
  return {
    stats: scope.block(STATS),
    versions: {
      1: scope.scope('versions.v1.').block(VERSION_STATS),
      2: scope.scope('versions.v2.').block(VERSION_STATS),
    },
    errors: rootStats.counter('downstream_cx_proxy_proto_error'),
    rules: new Map(
      config.rules.map(({ tlvType, onTlvPresent }) => [
        tlvType & 0xff,
        { namespace: onTlvPresent?.metadataNamespace || NAMESPACE, key: onTlvPresent?.key ?? '' },
      ]),
    ),
    passesTlv: (type) => pass !== undefined && (pass.matchType === Match.INCLUDE_ALL || passed.has(type)),
    allowsNone: config.allowRequestsWithoutProxyProtocol,
    allows: {
      1: !disallowedVersions.includes(ProxyProtocolConfig_Version.V1),
      2: !disallowedVersions.includes(ProxyProtocolConfig_Version.V2),
    },
  };
}

class ProxyProtocolFilter implements ListenerFilter {
  readonly #settings: Settings;
  readonly #connection: ListenerConnection;

  constructor(settings: Settings, connection: ListenerConnection) {
    this.#settings = settings;
    this.#connection = connection;
  }

  onAccept(): ListenerVerdict {
    return 'wait';
  }

  onData(bytes: Buffer): ListenerVerdict {
    const { stats, versions, errors, allowsNone, allows } = this.#settings;
    if (allowsNone && !(allows[1] && mayBeHeader(bytes, 1)) && !(allows[2] && mayBeHeader(bytes, 2))) {
      stats.inc(STATS.at.not_found_allowed);
      return 'continue';
    }
    const version = proxyProtocolVersion(bytes);
    if (version === 'more') return 'wait';
    if (version === 'none') {
      errors.inc();
      stats.inc(STATS.at.not_found_disallowed);
      return 'close';
    }
    const counts = versions[version];
    if (!allows[version]) {
      counts.inc(VERSION_AT.found);
      counts.inc(VERSION_AT.disallowed);
      return 'close';
    }
    const header = parseProxyProtocolHeader(bytes, version);
    if (header === 'more') return 'wait';
    if (typeof header === 'string' || !this.#apply(bytes, header)) {
      errors.inc();
      counts.inc(VERSION_AT.error);
      return 'close';
    }
    counts.inc(VERSION_AT.found);
    this.#connection.consume(header.length);
    return 'continue';
  }

  #apply(bytes: Buffer, header: ProxyProtocolHeader): boolean {
    const { rules, passesTlv } = this.#settings;
    const connection = this.#connection;
    const tlvs: { readonly type: number; readonly value: Uint8Array }[] = [];
    const told = new Set<number>();
    const isGood = readTlvs(bytes, header, (type, value) => {
      const rule = rules.get(type);
      // Of several with one type the first is the one that is told.
      if (rule !== undefined && !told.has(type)) {
        told.add(type);
        connection.setDynamicMetadata(rule.namespace, rule.key, cleanText(value));
      }
      if (passesTlv(type)) tlvs.push({ type, value: Uint8Array.from(value) });
    });
    if (!isGood) return false;
    if (tlvs.length > 0) connection.setProxyProtocolTlvs(tlvs);
    const { addresses } = header;
    if (addresses !== undefined)
      connection.setAddresses(addresses.remoteIp, addresses.remotePort, addresses.localIp, addresses.localPort);
    return true;
  }
}

/** The text in UTF-8, each byte that isn't part of any replaced by `!`, as Envoy does it. */
function cleanText(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  if (!text.includes('\ufffd')) return text;
  let out = '';
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes[at]!);
    const one = bytes.subarray(at, at + length).toString('utf8');
    const isValid =
      length > 0 &&
      at + length <= bytes.length &&
      Buffer.byteLength(one) === length &&
      bytes.compare(Buffer.from(one), 0, length, at, at + length) === 0;
    out += isValid ? one : '!';
    at += isValid ? length : 1;
  }
  return out;
}

/** By the first byte of a UTF-8 sequence; 0 = none begins so. */
function sequenceLength(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}
