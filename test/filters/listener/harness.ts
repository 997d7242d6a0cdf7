import { create, toBinary, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { builtinListenerFilters } from '../../../src/filters/builtin-listener.ts';
import { inertContext } from '../../../src/filters/inert-context.ts';
import type {
  ListenerConnection,
  ListenerFilterForConnection,
  ListenerVerdict,
} from '../../../src/filters/listener/filter.ts';
import { ListenerFilterRegistry } from '../../../src/filters/listener-registry.ts';
import { KitStats } from '../../../src/filters/test-kit/kit-stats.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A connection that notes what a filter makes of it. */
export class RecordingConnection implements ListenerConnection {
  remoteIp = '192.0.2.1';
  remotePort = 4000;
  localIp = '10.1.2.3';
  localPort = 80;
  transportProtocol = '';
  serverName = '';
  applicationProtocols: readonly string[] = [];
  ja3 = '';
  ja4 = '';
  consumed = 0;
  restored: string | undefined = undefined;
  original: { readonly ip: string; readonly port: number } | undefined = undefined;
  tlvs: readonly { readonly type: number; readonly value: Uint8Array }[] = [];
  failure = '';
  readonly metadata: Record<string, unknown> = {};

  setTransportProtocol(name: string): void {
    this.transportProtocol = name;
  }
  setServerName(name: string): void {
    this.serverName = name;
  }
  setApplicationProtocols(names: readonly string[]): void {
    this.applicationProtocols = names;
  }
  setTlsFingerprints(ja3: string, ja4: string): void {
    this.ja3 = ja3;
    this.ja4 = ja4;
  }
  setAddresses(remoteIp: string, remotePort: number, localIp: string, localPort: number): void {
    Object.assign(this, { remoteIp, remotePort, localIp, localPort });
  }
  restoreLocalAddress(ip: string, port: number): void {
    this.restored = `${ip} ${port}`;
  }
  originalDestination(): { readonly ip: string; readonly port: number } | undefined {
    return this.original;
  }
  consume(bytes: number): void {
    this.consumed += bytes;
  }
  setProxyProtocolTlvs(tlvs: RecordingConnection['tlvs']): void {
    this.tlvs = tlvs;
  }
  setDynamicMetadata(namespace: string, key: string, value: unknown): void {
    this.metadata[`${namespace}/${key}`] = value;
  }
  setFilterState(): void {}
  setTransportFailureReason(reason: string): void {
    this.failure = reason;
  }
}

/** One configured filter. */
export class FilterUnderTest {
  readonly stats = new KitStats();
  readonly clock = new FakeClock();
  #create!: ListenerFilterForConnection;

  static async of<Desc extends DescMessage>(desc: Desc, config: MessageInitShape<Desc>): Promise<FilterUnderTest> {
    const it = new FilterUnderTest();
    const registry = new ListenerFilterRegistry(builtinListenerFilters);
    const typed = { name: 'f', typeName: desc.typeName, value: toBinary(desc, create(desc, config)) };
    await registry.prepare([typed]);
    it.#create = registry.compile(typed, { ...inertContext(), clock: it.clock, stats: it.stats, rootStats: it.stats });
    return it;
  }

  /** Shows the filter a connection's bytes as they come: all that there are, after each of `chunks`. */
  run(connection: RecordingConnection, ...chunks: (string | Buffer)[]): ListenerVerdict {
    const filter = this.#create(connection);
    let verdict = filter.onAccept();
    let bytes = Buffer.alloc(0);
    for (const chunk of chunks) {
      if (verdict !== 'wait') break;
      bytes = Buffer.concat([bytes, typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk]);
      if (bytes.length > 0) verdict = filter.onData!(bytes);
    }
    filter.onDestroy?.();
    return verdict;
  }
}

/** `bytes` cut at these places. */
export function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  const edges = [0, ...sorted, bytes.length];
  return edges.slice(1).map((end, i) => bytes.subarray(edges[i], end));
}
