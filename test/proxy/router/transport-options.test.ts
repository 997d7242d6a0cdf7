import { describe, expect, test } from 'vitest';
import type { ClusterModel } from '../../../src/config/cluster-model.ts';
import { TransportOptions } from '../../../src/proxy/router/transport-options.ts';
import { request, streamInfo } from '../../support/route-table.ts';

const cluster = (more: object): ClusterModel =>
  ({
    transportSocket: { kind: 'tls' },
    transportSocketMatches: [],
    autoSni: undefined,
    autoSanValidation: false,
    ...more,
  }) as unknown as ClusterModel;
const AUTO = cluster({ autoSni: { overrideHeader: '' }, autoSanValidation: true });

test('nothing of a request matters without a reason', () => {
  const options = new TransportOptions();
  const info = streamInfo();
  info.filterState.set('envoy.network.upstream_server_name', 'x');
  const plain = cluster({ transportSocket: { kind: 'raw-buffer' }, autoSni: { overrideHeader: '' } });
  expect(options.of(plain, request('/'), info)).toBeUndefined();
  expect(options.of(cluster({}), request('/'), streamInfo())).toBeUndefined();
});

describe('by authority', () => {
  test.each([
    ['a.example', 'a.example', ['a.example']],
    ['a.example:443', 'a.example', ['a.example']],
    // An address is no server name, but the certificate has to have it.
    ['10.0.0.1:443', '', ['10.0.0.1']],
    ['[::1]:443', '', ['::1']],
  ])('%s', (authority, serverName, subjectAltNames) => {
    const headers = request('/');
    headers.authority = authority;
    expect(new TransportOptions().of(AUTO, headers, streamInfo())).toMatchObject({ serverName, subjectAltNames });
  });

  test('or another header', () => {
    const override = cluster({ autoSni: { overrideHeader: 'x-sni' } });
    const headers = request('/', { headers: [['x-sni', 'other.example']] });
    expect(new TransportOptions().of(override, headers, streamInfo())?.serverName).toBe('other.example');
  });
});

test('what filters ask for comes first', () => {
  const info = streamInfo();
  info.filterState.set('envoy.network.upstream_server_name', 'asked');
  info.filterState.set('envoy.network.upstream_subject_alt_names', 'one, two');
  info.filterState.set('envoy.network.application_protocols', ['h2']);
  expect(new TransportOptions().of(AUTO, request('/'), info)).toMatchObject({
    serverName: 'asked',
    subjectAltNames: ['one', 'two'],
    alpnProtocols: ['h2'],
  });
});

test('a PROXY protocol header tells of the downstream connection', () => {
  const proxy = cluster({ transportSocket: { kind: 'proxy-protocol', inner: { kind: 'raw-buffer' } } });
  const info = streamInfo();
  const { remoteIp, remotePort, localIp, localPort } = info.connection;
  const found = new TransportOptions().of(proxy, request('/'), info)!;
  expect(found.downstream).toEqual({ remoteIp, remotePort, localIp, localPort, tlvs: [] });
});

test('equal requests get the same object, and there is a limit to how many are kept', () => {
  const options = new TransportOptions();
  const of = (authority: string): object | undefined => {
    const headers = request('/');
    headers.authority = authority;
    return options.of(AUTO, headers, streamInfo());
  };
  const first = of('h0');
  expect(of('h0')).toBe(first);
  expect(of('h0:8443')).toBe(first);
  for (let i = 1; i < 1025; i++) of(`h${i}`);
  expect(of('h0')).not.toBe(first);
  expect(of('h0')).toEqual(first);
});
