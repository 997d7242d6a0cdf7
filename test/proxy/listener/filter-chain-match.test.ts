import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FilterChainMatchModel, FilterChainModel } from '../../../src/config/listener-model.ts';
import { compileFilterChainMatch, compileFilterChainTree } from '../../../src/proxy/listener/filter-chain-match.ts';
import type { ConnectionInfo } from '../../../src/filters/stream-info.ts';
import { overlappingChain } from '../../../src/config/builders/filter-chain-overlap.ts';
import type { MatcherModel } from '../../../src/config/matcher-model.ts';
import { connectionOf } from '../../support/log-context.ts';
import { NaiveFilterChainMatcher } from '../../support/naive-filter-chain-match.ts';

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

function modelOf(name: string, match: FilterChainMatchModel): FilterChainModel {
  return {
    name,
    match,
    networkFilters: [],
    transportSocket: undefined,
    transportSocketConnectTimeoutMs: undefined,
    metadata: undefined,
  };
}

function choose(
  chains: Readonly<Record<string, Partial<FilterChainMatchModel>>>,
  connection: ConnectionInfo = connectionOf('192.0.2.1:4000', '10.1.2.3:80'),
  fallback?: string,
): string | undefined {
  const pairs = Object.entries(chains).map(([name, match]) => {
    return [modelOf(name, { ...ANY, ...match }), name] as const;
  });
  return compileFilterChainMatch(pairs, fallback)(connection);
}

describe('compileFilterChainMatch', () => {
  test('one chain without criteria takes everything', () => {
    expect(choose({ only: {} })).toBe('only');
  });

  test('one chain that does not match leaves the connection to the default chain, or to nobody', () => {
    expect(choose({ a: { destinationPort: 81 } })).toBeUndefined();
    expect(choose({ a: { destinationPort: 81 } }, undefined, 'default')).toBe('default');
    expect(choose({}, undefined, 'default')).toBe('default');
  });

  test('a named port beats none', () => {
    expect(choose({ any: {}, port: { destinationPort: 80 } })).toBe('port');
    expect(choose({ any: {}, port: { destinationPort: 81 } })).toBe('any');
  });

  test('an earlier criterion decides, whatever later ones would say', () => {
    const chains = { port: { destinationPort: 80, sourcePorts: [1] }, any: { sourcePorts: [4000] } };
    expect(choose(chains)).toBeUndefined();
  });

  test('the longest range of destination addresses wins', () => {
    const chains = {
      any: {},
      eight: { prefixRanges: ['10.0.0.0/8'] },
      sixteen: { prefixRanges: ['172.16.0.0/12', '10.1.0.0/16'] },
      other: { prefixRanges: ['10.2.0.0/16'] },
    };
    expect(choose(chains)).toBe('sixteen');
    expect(choose(chains, connectionOf('192.0.2.1:1', '10.9.0.1:80'))).toBe('eight');
    expect(choose(chains, connectionOf('192.0.2.1:1', '11.0.0.1:80'))).toBe('any');
  });

  test('a server name: exact, then the longest wildcard, then none', () => {
    const chains = {
      any: {},
      exact: { serverNames: ['a.b.example'] },
      long: { serverNames: ['*.b.example'] },
      short: { serverNames: ['*.example'] },
    };
    const to = (requestedServerName: string): string | undefined =>
      choose(chains, connectionOf('192.0.2.1:1', '10.1.2.3:80', { requestedServerName }));
    expect(to('a.b.example')).toBe('exact');
    expect(to('c.b.example')).toBe('long');
    expect(to('x.example')).toBe('short');
    expect(to('example')).toBe('any');
    expect(to('')).toBe('any');
  });

  test('a connection that nobody inspected is raw_buffer and speaks no known protocol', () => {
    expect(choose({ any: {}, raw: { transportProtocol: 'raw_buffer' } })).toBe('raw');
    expect(choose({ tls: { transportProtocol: 'tls' } })).toBeUndefined();
    expect(choose({ any: {}, h2: { applicationProtocols: ['h2'] } })).toBe('any');
  });

  test('by source: type, address, port', () => {
    const types = { local: { sourceType: 'same-ip-or-loopback' }, external: { sourceType: 'external' } } as const;
    expect(choose(types)).toBe('external');
    expect(choose(types, connectionOf('127.0.0.1:1', '10.1.2.3:80'))).toBe('local');
    expect(choose(types, connectionOf('10.1.2.3:1', '10.1.2.3:80'))).toBe('local');
    expect(choose({ any: {}, near: { sourcePrefixRanges: ['192.0.2.0/24'] } })).toBe('near');
    expect(choose({ any: {}, port: { sourcePorts: [1, 4000] } })).toBe('port');
    expect(choose({ any: {}, direct: { directSourcePrefixRanges: ['192.0.2.1/32'] } })).toBe('direct');
  });

  test('by protocols that inspectors found; the first one that the client offers decides', () => {
    const offering = (...applicationProtocols: string[]): ConnectionInfo =>
      connectionOf('192.0.2.1:4000', '10.1.2.3:80', { transportProtocol: 'tls', applicationProtocols });
    const chains = {
      raw: { transportProtocol: 'raw_buffer' },
      tls: { transportProtocol: 'tls' },
      h1: { transportProtocol: 'tls', applicationProtocols: ['http/1.1'] },
      h2: { transportProtocol: 'tls', applicationProtocols: ['h2'] },
    };
    expect(choose(chains, offering('http/1.1', 'h2'))).toBe('h1');
    expect(choose(chains, offering('x', 'h2'))).toBe('h2');
    expect(choose(chains, offering())).toBe('tls');
  });

  test('ranges that mean the same are one', () => {
    const chains = {
      port: { prefixRanges: ['10.1.9.9/16'], sourcePorts: [4000] },
      none: { prefixRanges: ['10.1.0.0/16'] },
    };
    expect(choose(chains)).toBe('port');
    expect(choose(chains, connectionOf('192.0.2.1:1', '10.1.2.3:80'))).toBe('none');
  });

  test('chooses as the slow way does, whatever the chains and the connection', () => {
    const some = <Value>(...values: Value[]): fc.Arbitrary<Value[]> =>
      fc.uniqueArray(fc.constantFrom(...values), { maxLength: 2 });
    const ranges = some('10.0.0.0/8', '10.1.0.0/16', '10.1.2.3/32', '0.0.0.0/0', '127.0.0.0/8', '::/0', 'fd00::/8');
    const match: fc.Arbitrary<FilterChainMatchModel> = fc.record({
      destinationPort: fc.constantFrom(undefined, undefined, 80, 443),
      prefixRanges: ranges,
      serverNames: some('a.example', 'b.a.example', '*.example', '*.a.example'),
      transportProtocol: fc.constantFrom('', 'tls', 'raw_buffer'),
      applicationProtocols: some('h2', 'http/1.1'),
      directSourcePrefixRanges: ranges,
      sourceType: fc.constantFrom('any', 'any', 'same-ip-or-loopback', 'external'),
      sourcePrefixRanges: ranges,
      sourcePorts: some(1, 2),
    });
    const ip = fc.constantFrom('10.1.2.3', '10.9.9.9', '127.0.0.1', '192.0.2.1');
    const connection = fc.record({
      remote: fc.tuple(ip, fc.constantFrom(1, 2, 3)),
      local: fc.tuple(ip, fc.constantFrom(80, 443, 8080)),
      requestedServerName: fc.constantFrom('', 'a.example', 'b.a.example', 'c.b.a.example', 'example', 'x.example'),
      transportProtocol: fc.constantFrom('', 'tls', 'raw_buffer'),
      applicationProtocols: some('h2', 'http/1.1', 'x'),
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(match, { maxLength: 12, selector: (each) => JSON.stringify(each) }),
        fc.array(connection, { minLength: 4, maxLength: 4 }),
        (matches, connections) => {
          const pairs = matches.map((each, index) => [modelOf(String(index), each), index] as const);
          const compiled = compileFilterChainMatch(pairs, -1);
          const naive = new NaiveFilterChainMatcher(pairs, -1);
          for (const { remote, local, ...rest } of connections) {
            const info = connectionOf(remote.join(':'), local.join(':'), rest);
            const wanted = naive.match(info);
            const found = compiled(info);
            // Chains that overlap, which a config may not have, may be told apart in another way.
            if (found !== wanted && sameRank(matches, found, wanted)) continue;
            expect(found).toBe(wanted);
          }
        },
      ),
      { numRuns: 400 },
    );
  });
});

/** Both chains accept each other's criteria: the config would have been refused. */
function sameRank(matches: readonly FilterChainMatchModel[], a = -1, b = -1): boolean {
  const [first, second] = [matches[a], matches[b]];
  if (first === undefined || second === undefined) return false;
  return overlappingChain([modelOf('a', first), modelOf('b', second)]) !== undefined;
}

describe('compileFilterChainTree', () => {
  const to = (action: string) => ({ kind: 'action', action }) as const;
  const entry = (keys: string[], action: string, exclusive = false) => ({ keys, onMatch: to(action), exclusive });
  const by = (kind: string, tree: 'exact' | 'prefix' | 'ip' | 'server-name', ...entries: ReturnType<typeof entry>[]) =>
    ({ kind: 'tree', input: { kind, path: [] }, by: tree, entries, onNoMatch: undefined }) as const;
  const decide = (model: MatcherModel<string>, connection: ConnectionInfo): string | undefined =>
    compileFilterChainTree(
      model,
      ['a', 'b', 'c'].map((name) => [modelOf(name, ANY), name] as const),
      'default',
    )(connection);
  const connection = connectionOf('192.0.2.1:4000', '10.1.2.3:80', {
    requestedServerName: 'x.a.example',
    applicationProtocols: ['h2', 'http/1.1'],
    transportProtocol: 'tls',
    filterState: new Map([['k', 'v']]),
  });

  test.each([
    ['an exact value', by('destination-port', 'exact', entry(['443'], 'a'), entry(['80'], 'b')), 'b'],
    ['the longest prefix', by('server-name', 'prefix', entry(['x'], 'a'), entry(['x.a'], 'b')), 'b'],
    ['the longest range', by('source-ip', 'ip', entry(['0.0.0.0/0'], 'a'), entry(['192.0.2.0/24'], 'b')), 'b'],
    [
      'the longest wildcard',
      by('server-name', 'server-name', entry(['*', '*.example'], 'a'), entry(['*.a.example'], 'b')),
      'b',
    ],
    ['any name', by('server-name', 'server-name', entry(['*'], 'c')), 'c'],
    ['the protocols', by('application-protocol', 'exact', entry(["'h2','http/1.1'"], 'a')), 'a'],
    ['the transport protocol', by('transport-protocol', 'exact', entry(['tls'], 'a')), 'a'],
    [
      'the filter state',
      { ...by('filter-state', 'exact', entry(['v'], 'a')), input: { kind: 'filter-state', path: ['k'] } },
      'a',
    ],
    ['nothing', by('source-port', 'exact', entry(['1'], 'a')), 'default'],
    ['no value', by('source-type', 'exact', entry(['local'], 'a')), 'default'],
    ['a chain that there is not', by('source-port', 'exact', entry(['4000'], 'nowhere')), undefined],
  ] as [string, MatcherModel<string>, string | undefined][])('by %s', (_, model, wanted) => {
    expect(decide(model, connection)).toBe(wanted);
  });

  test('an entry that leads nowhere leaves it to the next best one, unless it is exclusive', () => {
    const dead = { kind: 'matcher', matcher: by('source-port', 'exact') } as const;
    const ranges = (exclusive: boolean): MatcherModel<string> => ({
      ...by('source-ip', 'ip'),
      entries: [entry(['192.0.0.0/8'], 'a'), { keys: ['192.0.2.0/24'], onMatch: dead, exclusive }],
      onNoMatch: to('c'),
    });
    expect(decide(ranges(false), connection)).toBe('a');
    expect(decide(ranges(true), connection)).toBe('c');
  });

  test('a list takes the first matcher that holds', () => {
    const port = { kind: 'destination-port', path: [] };
    const is = (value: string) =>
      ({ kind: 'string', input: port, matcher: { kind: 'exact', value, ignoreCase: false } }) as const;
    const model: MatcherModel<string> = {
      kind: 'list',
      matchers: [
        { predicate: { kind: 'and', predicates: [is('80'), { kind: 'not', predicate: is('80') }] }, onMatch: to('a') },
        {
          predicate: {
            kind: 'or',
            predicates: [is('1'), { kind: 'ip', input: { kind: 'destination-ip', path: [] }, ranges: ['10.0.0.0/8'] }],
          },
          onMatch: to('b'),
        },
      ],
      onNoMatch: to('c'),
    };
    expect(decide(model, connection)).toBe('b');
    expect(decide(model, connectionOf('192.0.2.1:1', '11.0.0.1:80'))).toBe('c');
  });
});
