// The cost of choosing a filter chain, with 10 and with 1,000 of them. The last one is asked for.
import type { FilterChainMatchModel, FilterChainModel } from '../../src/config/listener-model.ts';
import type { ConnectionInfo } from '../../src/filters/stream-info.ts';
import { compileFilterChainMatch } from '../../src/proxy/listener/filter-chain-match.ts';

const ANY: FilterChainMatchModel = {
  destinationPort: undefined,
  prefixRanges: [],
  serverNames: [],
  transportProtocol: '',
  applicationProtocols: [],
  directSourcePrefixRanges: [],
  sourceType: 'any',
  sourcePrefixRanges: [],
  sourcePorts: [],
};
const kinds: Readonly<Record<string, (n: number) => Partial<FilterChainMatchModel>>> = {
  port: (n) => ({ destinationPort: n + 1 }),
  range: (n) => ({ prefixRanges: [`10.${n >> 8}.${n & 255}.0/24`] }),
  'server name': (n) => ({ transportProtocol: 'tls', serverNames: [`service-${n}.example`] }),
  wildcard: (n) => ({ transportProtocol: 'tls', serverNames: [`*.service-${n}.example`] }),
};

function connectionTo(n: number, kind: string): ConnectionInfo {
  const name = kind === 'wildcard' ? `a.service-${n}.example` : `service-${n}.example`;
  return {
    localIp: `10.${n >> 8}.${n & 255}.7`,
    localPort: n + 1,
    remoteIp: '192.0.2.1',
    remotePort: 4000,
    directRemoteIp: '192.0.2.1',
    requestedServerName: name,
    transportProtocol: 'tls',
  } as ConnectionInfo;
}

function nanoseconds(run: () => unknown): number {
  let best = Infinity;
  for (let i = 0; i < 20_000; i++) run();
  for (let round = 0; round < 5; round++) {
    const count = 200_000;
    const start = performance.now();
    for (let i = 0; i < count; i++) run();
    best = Math.min(best, ((performance.now() - start) / count) * 1e6);
  }
  return best;
}

for (const [kind, matchOf] of Object.entries(kinds)) {
  const costs = [10, 1000].map((count) => {
    const pairs = Array.from({ length: count }, (_, n) => {
      const model: FilterChainModel = {
        name: String(n),
        match: { ...ANY, ...matchOf(n) },
        networkFilters: [],
        transportSocket: undefined,
        transportSocketConnectTimeoutMs: undefined,
        metadata: undefined,
      };
      return [model, n] as const;
    });
    const match = compileFilterChainMatch(pairs, undefined);
    const connection = connectionTo(count - 1, kind);
    if (match(connection) !== count - 1) throw new Error(`${kind}: the wrong chain`);
    return nanoseconds(() => match(connection));
  });
  console.log(`${kind.padEnd(28)} ${costs.map((cost) => `${cost.toFixed(0)} ns`).join('  ')}`);
}
