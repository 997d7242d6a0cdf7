import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { XdsServer } from '../../examples/xds-server/xds-server.ts';
import { resourceName } from '../../src/xds/resource-name.ts';
import { RESOURCE_TYPES } from '../../src/xds/resource-type.ts';
import { eventually } from '../support/eventually.ts';
import { deltaClient, sotwClient } from './xds-client.ts';

const { cds, eds, rds } = RESOURCE_TYPES;
const cluster = (name: string, timeout = '1s'): string =>
  `  - { '@type': ${cds}, name: ${name}, connect_timeout: ${timeout} }\n`;
const route = (name: string, to: string): string =>
  `  - '@type': ${rds}
    name: ${name}
    virtual_hosts: [{ name: all, domains: ['*'], routes: [{ match: { prefix: / }, route: { cluster: ${to} } }] }]
`;
const endpoints = (name: string, port = 1): string =>
  `  - '@type': ${eds}
    cluster_name: ${name}
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } } }] }]
`;

let folder: string;
let server: XdsServer;
let log: string[];
const write = (file: string, ...resources: readonly string[]): void => {
  const path = join(folder, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, `resources:\n${resources.join('')}`);
  renameSync(`${path}.new`, path);
};
const start = async (): Promise<void> => {
  server = await XdsServer.start({ folder, address: '127.0.0.1:0', log: (line) => void log.push(line) });
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'xds-server-'));
  log = [];
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const node = { id: 'reviews-v2', cluster: 'reviews' };
const names = (response: { resources: readonly { name: string }[] }): string[] => response.resources.map((r) => r.name);
const wholeNames = (response: { resources: readonly { value: Uint8Array }[] }): string[] =>
  response.resources.map(({ value }) => resourceName(value));

describe('a folder of resources', () => {
  test('what is for a proxy or its cluster adds to what is for all, and wins over it', async () => {
    write('all.yaml', cluster('shared'), cluster('mine'));
    write('reviews/clusters.yaml', cluster('of-the-service'), cluster('mine', '2s'));
    write('reviews-v2/clusters.yaml', cluster('of-the-proxy'), cluster('mine', '3s'));
    write('other/clusters.yaml', cluster('of-another'));
    await start();
    using client = deltaClient(server.port);
    client.send({ typeUrl: cds, node });
    const response = await client.next();
    expect(names(response).sort()).toEqual(['mine', 'of-the-proxy', 'of-the-service', 'shared']);
    using stranger = deltaClient(server.port);
    stranger.send({ typeUrl: cds, node: { id: 'x', cluster: 'y' } });
    const mine = (await stranger.next()).resources.find(({ name }) => name === 'mine');
    expect(mine!.version).not.toBe(response.resources.find(({ name }) => name === 'mine')!.version);
  });

  test('a mistake is reported with its place, and what the file said before stays', async () => {
    write('good.yaml', cluster('good'));
    write('clusters.yaml', cluster('a'));
    await start();
    using client = deltaClient(server.port);
    client.send({ typeUrl: cds, node });
    client.send({ typeUrl: cds, responseNonce: (await client.next()).nonce });
    const path = join(folder, 'clusters.yaml');
    write('clusters.yaml', cluster('a'), cluster('b').replace('connect_timeout', 'connect_timout'));
    await eventually('the report', () => log.some((line) => line.startsWith(`${path}:3:`)));
    expect(log.filter((line) => line.startsWith(path))).toEqual([
      expect.stringMatching(/resources\[1\]\.connect_timout: unknown field .*did you mean 'connect_timeout'/),
    ]);
    write('clusters.yaml', cluster('a', '-1s'));
    await eventually('the report', () => log.some((line) => /:2:\d+: resources\[0\]\.connect_timeout/.test(line)));
    write('clusters.yaml', `  - { '@type': type.googleapis.com/google.protobuf.Empty, value: {} }\n`);
    await eventually('the report', () => log.some((line) => line.includes('is not a type of resource')));
    expect(client.unread).toBe(0);
    write('clusters.yaml', cluster('b'));
    const changed = await client.next();
    expect([names(changed), changed.removedResources]).toEqual([['b'], []]);
    client.send({ typeUrl: cds, responseNonce: changed.nonce });
    expect((await client.next()).removedResources).toEqual(['a']);
  });

  test('folders and files that come and go are followed', async () => {
    await start();
    using client = deltaClient(server.port);
    client.send({ typeUrl: cds, node });
    let response = await client.next();
    expect(names(response)).toEqual([]);
    client.send({ typeUrl: cds, responseNonce: response.nonce });
    write('reviews/late.yaml', cluster('late'));
    response = await client.next();
    expect(names(response)).toEqual(['late']);
    client.send({ typeUrl: cds, responseNonce: response.nonce });
    rmSync(join(folder, 'reviews/late.yaml'));
    expect((await client.next()).removedResources).toEqual(['late']);
  });
});

describe('delta', () => {
  test('only what changed is sent, and soon', async () => {
    write('clusters.yaml', cluster('a'), cluster('b'));
    await start();
    using client = deltaClient(server.port);
    client.send({ typeUrl: cds, node });
    client.send({ typeUrl: cds, responseNonce: (await client.next()).nonce });
    const began = performance.now();
    write('clusters.yaml', cluster('a'), cluster('b', '5s'));
    expect(names(await client.next())).toEqual(['b']);
    expect(performance.now() - began).toBeLessThan(1000);
  });

  test('a proxy that comes back is sent what it lacks', async () => {
    write('clusters.yaml', cluster('a'), cluster('b'));
    await start();
    let versions: Record<string, string>;
    {
      using client = deltaClient(server.port);
      client.send({ typeUrl: cds, node });
      versions = Object.fromEntries((await client.next()).resources.map(({ name, version }) => [name, version]));
    }
    using client = deltaClient(server.port);
    const initialResourceVersions = { a: versions['a']!, b: 'older', gone: '1' };
    client.send({ typeUrl: cds, node, initialResourceVersions });
    const changed = await client.next();
    expect(names(changed)).toEqual(['b']);
    client.send({ typeUrl: cds, responseNonce: changed.nonce });
    expect((await client.next()).removedResources).toEqual(['gone']);
  });

  test('a name that there is nothing for is answered, and again when there is', async () => {
    await start();
    using client = deltaClient(server.port);
    client.send({ typeUrl: eds, node, resourceNamesSubscribe: ['late'] });
    const none = await client.next();
    expect([names(none), none.removedResources]).toEqual([[], ['late']]);
    client.send({ typeUrl: eds, responseNonce: none.nonce });
    write('endpoints.yaml', endpoints('late'), endpoints('not-asked-for'));
    const some = await client.next();
    expect(names(some)).toEqual(['late']);
    client.send({ typeUrl: eds, responseNonce: some.nonce });
    // Asking again, without having said that it has any: it has forgotten.
    client.send({ typeUrl: eds, resourceNamesSubscribe: ['late'] });
    expect(names(await client.next())).toEqual(['late']);
  });

  test('a route moves to a new cluster: that one first, the route next, the old one last', async () => {
    write('clusters.yaml', cluster('old'));
    write('routes.yaml', route('r', 'old'));
    await start();
    using client = deltaClient(server.port);
    client.send({ typeUrl: cds, node });
    client.send({ typeUrl: cds, responseNonce: (await client.next()).nonce });
    client.send({ typeUrl: rds, resourceNamesSubscribe: ['r'] });
    client.send({ typeUrl: rds, responseNonce: (await client.next()).nonce });
    write('mesh.yaml', cluster('new'), route('r', 'new'));
    rmSync(join(folder, 'clusters.yaml'));
    rmSync(join(folder, 'routes.yaml'));
    const seen: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      const response = await client.next();
      expect(client.unread).toBe(0);
      seen.push([response.typeUrl, names(response), response.removedResources]);
      client.send({ typeUrl: response.typeUrl, responseNonce: response.nonce });
    }
    expect(seen).toEqual([
      [cds, ['new'], []],
      [rds, ['r'], []],
      [cds, [], ['old']],
    ]);
  });

  test('a refusal is told in the words of the proxy, and not repeated', async () => {
    write('clusters.yaml', cluster('a'));
    await start();
    using client = deltaClient(server.port);
    client.send({ typeUrl: cds, node });
    const errorDetail = { code: 13, message: 'no such lb_policy' };
    client.send({ typeUrl: cds, responseNonce: (await client.next()).nonce, errorDetail });
    await eventually('the line', () => log.includes('reviews-v2 refused cds: no such lb_policy'));
    expect(client.unread).toBe(0);
    write('clusters.yaml', cluster('a', '2s'));
    expect(names(await client.next())).toEqual(['a']);
  });
});

describe('state of the world', () => {
  test('every response has everything; what a route still needs stays in it', async () => {
    write('clusters.yaml', cluster('old'), cluster('other'));
    write('routes.yaml', route('r', 'old'));
    await start();
    using client = sotwClient(server.port);
    client.send({ typeUrl: cds, node });
    let response = await client.next();
    expect(wholeNames(response)).toEqual(['old', 'other']);
    client.send({ typeUrl: cds, versionInfo: response.versionInfo, responseNonce: response.nonce });
    client.send({ typeUrl: rds, resourceNames: ['r'] });
    response = await client.next();
    client.send({ typeUrl: rds, resourceNames: ['r'], responseNonce: response.nonce });
    write('mesh.yaml', cluster('new'), cluster('other'), route('r', 'new'));
    rmSync(join(folder, 'clusters.yaml'));
    rmSync(join(folder, 'routes.yaml'));
    const seen: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      response = await client.next();
      seen.push([response.typeUrl, wholeNames(response).sort()]);
      const resourceNames = response.typeUrl === rds ? ['r'] : [];
      client.send({ typeUrl: response.typeUrl, resourceNames, responseNonce: response.nonce });
    }
    expect(seen).toEqual([
      [cds, ['new', 'old', 'other']],
      [rds, ['r']],
      [cds, ['new', 'other']],
    ]);
  });

  test('names are added and taken away; the same content has the same version', async () => {
    write('endpoints.yaml', endpoints('a'), endpoints('b'));
    await start();
    using client = sotwClient(server.port);
    client.send({ typeUrl: eds, node, resourceNames: ['a'] });
    const first = await client.next();
    expect(wholeNames(first)).toEqual(['a']);
    client.send({ typeUrl: eds, resourceNames: ['a', 'b'], responseNonce: first.nonce });
    const second = await client.next();
    expect(wholeNames(second)).toEqual(['a', 'b']);
    client.send({ typeUrl: eds, resourceNames: ['a'], responseNonce: second.nonce });
    write('endpoints.yaml', endpoints('a', 2), endpoints('b', 2));
    const third = await client.next();
    expect(wholeNames(third)).toEqual(['a']);
    client.send({ typeUrl: eds, resourceNames: ['a'], responseNonce: third.nonce });
    write('endpoints.yaml', endpoints('a'), endpoints('b'));
    const fourth = await client.next();
    expect(fourth.versionInfo).toBe(first.versionInfo);
    // A request that answers an earlier response is late, and changes nothing.
    client.send({ typeUrl: eds, resourceNames: ['a'], responseNonce: first.nonce });
    client.send({ typeUrl: eds, resourceNames: ['a', 'b'], responseNonce: fourth.nonce });
    expect(wholeNames(await client.next())).toEqual(['a', 'b']);
  });
});
