import { describe, expect, test } from 'vitest';
import type { FilterChainMatchModel, FilterChainModel } from '../../../src/config/listener-model.ts';
import { FilterChainMatcher } from '../../../src/proxy/listener/filter-chain-match.ts';
import type { ConnectionInfo } from '../../../src/filters/stream-info.ts';
import { connectionOf } from '../../support/log-context.ts';

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

function choose(
  chains: Readonly<Record<string, Partial<FilterChainMatchModel>>>,
  connection: ConnectionInfo = connectionOf('192.0.2.1:4000', '10.1.2.3:80'),
  fallback?: string,
): string | undefined {
  const pairs = Object.entries(chains).map(([name, match]) => {
    const model: FilterChainModel = {
      name,
      match: { ...ANY, ...match },
      networkFilters: [],
      transportSocket: undefined,
      transportSocketConnectTimeoutMs: undefined,
      metadata: undefined,
    };
    return [model, name] as const;
  });
  return new FilterChainMatcher(pairs, fallback).match(connection);
}

describe('FilterChainMatcher', () => {
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
});
