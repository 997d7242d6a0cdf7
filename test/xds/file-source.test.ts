import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ClusterSchema } from '../../src/api/generated/envoy/config/cluster/v3/cluster_pb.js';
import { DiscoveryResponseSchema } from '../../src/api/generated/envoy/service/discovery/v3/discovery_pb.js';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { FileSource } from '../../src/xds/file-source.ts';
import { RESOURCE_TYPES } from '../../src/xds/resource-type.ts';
import type { ResourceWatcher } from '../../src/xds/resource-update.ts';
import { eventually } from '../support/eventually.ts';

const { cds, eds } = RESOURCE_TYPES;
const types = new TypeRegistry();

let dir = '';
let source: FileSource | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'file-source-'));
});
afterEach(() => {
  source?.close();
  rmSync(dir, { recursive: true });
});

const yamlOf = (version: string, names: readonly string[]): string =>
  [
    ...(version === '' ? [] : [`version_info: "${version}"`]),
    'resources:',
    ...names.map((name) => `- { "@type": "${cds}", name: ${name}, connect_timeout: 1s }`),
  ].join('\n');

/** What a watcher was told, one line each. */
function watching(path: string, typeUrl: string = cds, watchedDirectory?: string) {
  const told: string[] = [];
  let answer = '';
  const watcher: ResourceWatcher = {
    onAttempt: () => void told.push('attempt'),
    onUpdate: ({ version, set, removed }) => {
      const names = set.map(({ name, value }) => {
        expect(fromBinary(ClusterSchema, value).name).toBe(name);
        return name;
      });
      told.push(`v${version} [${names.join()}] -[${removed.join()}]`);
      return answer;
    },
    onRejected: (error) => void told.push(`rejected: ${error}`),
    onUnreadable: (error) => void told.push(`unreadable: ${error}`),
  };
  source = new FileSource({ path, watchedDirectory, types, clock: systemClock });
  const watch = source.watch(typeUrl, undefined, watcher);
  return {
    watch,
    told,
    refuse: (error: string) => void (answer = error),
    /** What was told since the last time, as soon as it is so much. */
    next: async (count: number): Promise<string[]> => {
      await eventually(`${count} events after ${told.join('; ')}`, () => told.length >= count);
      return told.splice(0);
    },
  };
}

function replace(path: string, text: string | Uint8Array): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

describe('FileSource', () => {
  test('reads a file at once and again when another takes its place', async () => {
    const path = join(dir, 'cds.yaml');
    writeFileSync(path, yamlOf('1', ['a', 'b']));
    const { told, next } = watching(path);
    expect(told).toEqual([]);
    expect(await next(2)).toEqual(['attempt', 'v1 [a,b] -[]']);
    replace(path, yamlOf('2', ['b', 'c']));
    expect(await next(2)).toEqual(['attempt', 'v2 [b,c] -[a]']);
  });

  test('reads JSON, and protobuf', async () => {
    const json = join(dir, 'cds.json');
    writeFileSync(json, JSON.stringify({ resources: [{ '@type': cds, name: 'a' }] }));
    expect(await watching(json).next(2)).toEqual(['attempt', 'v [a] -[]']);
    source?.close();
    const binary = join(dir, 'cds.pb');
    const cluster = anyPack(ClusterSchema, create(ClusterSchema, { name: 'p' }));
    const message = create(DiscoveryResponseSchema, { versionInfo: '9', resources: [cluster] });
    writeFileSync(binary, toBinary(DiscoveryResponseSchema, message));
    expect(await watching(binary).next(2)).toEqual(['attempt', 'v9 [p] -[]']);
  });

  test('a bad file is told and changes nothing; a good one later does', async () => {
    const path = join(dir, 'cds.yaml');
    writeFileSync(path, yamlOf('1', ['a']));
    const { next } = watching(path);
    await next(2);
    replace(path, 'resources: [{');
    const [attempt, unreadable] = await next(2);
    expect(attempt).toBe('attempt');
    expect(unreadable).toMatch(/^unreadable: .*cds\.yaml: /);
    replace(path, yamlOf('3', ['a', 'a']));
    expect(await next(2)).toEqual(['attempt', 'rejected: duplicate resource a found']);
    replace(path, `resources: [{ "@type": "${eds}", cluster_name: a }]`);
    expect(await next(2)).toEqual([
      'attempt',
      `rejected: ${eds} does not match the message-wide type URL ${cds} in DiscoveryResponse`,
    ]);
    replace(path, yamlOf('4', ['b']));
    expect(await next(2)).toEqual(['attempt', 'v4 [b] -[a]']);
  });

  test('what came with a refused file is removed with the next', async () => {
    const path = join(dir, 'cds.yaml');
    writeFileSync(path, yamlOf('1', ['a']));
    const { next, refuse } = watching(path);
    await next(2);
    refuse('no good');
    replace(path, yamlOf('2', ['b']));
    expect(await next(3)).toEqual(['attempt', 'v2 [b] -[a]', 'rejected: no good']);
    refuse('');
    replace(path, yamlOf('3', ['c']));
    expect(await next(2)).toEqual(['attempt', 'v3 [c] -[b,a]']);
  });

  test('what a file of endpoints leaves out is not removed', async () => {
    const path = join(dir, 'eds.yaml');
    const text = (name: string) => `resources: [{ "@type": "${eds}", cluster_name: ${name} }]`;
    writeFileSync(path, text('a'));
    const { next } = watching(path, eds);
    expect(await next(2)).toEqual(['attempt', 'v [a] -[]']);
    replace(path, text('b'));
    expect(await next(2)).toEqual(['attempt', 'v [b] -[]']);
  });

  test('a file that is not there is unreadable, until it is', async () => {
    const path = join(dir, 'late.yaml');
    const { next } = watching(path);
    expect(await next(2)).toEqual(['attempt', `unreadable: unable to read file: ${path}: ENOENT`]);
    replace(path, yamlOf('1', ['a']));
    expect(await next(2)).toEqual(['attempt', 'v1 [a] -[]']);
  });

  test('follows the symbolic link of a watched directory', async () => {
    const link = join(dir, '..data');
    for (const [name, version] of [
      ['one', '1'],
      ['two', '2'],
    ] as const) {
      mkdirSync(join(dir, name));
      writeFileSync(join(dir, name, 'cds.yaml'), yamlOf(version, [name]));
    }
    symlinkSync('one', link);
    const { next } = watching(join(link, 'cds.yaml'), cds, dir);
    expect(await next(2)).toEqual(['attempt', 'v1 [one] -[]']);
    symlinkSync('two', `${link}.new`);
    renameSync(`${link}.new`, link);
    expect(await next(2)).toEqual(['attempt', 'v2 [two] -[one]']);
  });

  test('says nothing once it is closed', async () => {
    const path = join(dir, 'cds.yaml');
    writeFileSync(path, yamlOf('1', ['a']));
    const { next, watch, told } = watching(path);
    await next(2);
    watch.close();
    replace(path, yamlOf('2', ['b']));
    const other = watching(path);
    await other.next(2);
    expect(told).toEqual([]);
  });
});
