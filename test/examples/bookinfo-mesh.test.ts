import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { allPorts, shiftPorts } from '../../examples/bookinfo/workloads.ts';
import { readResourceFile } from '../../examples/xds-server/resource-file.ts';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import { loadBootstrap } from '../../src/config/bootstrap.ts';
import { formatProblem } from '../../src/config/format-problem.ts';

const bookinfo = join(import.meta.dirname, '../../examples/bookinfo');
const yamlIn = (folder: string): string[] =>
  readdirSync(join(bookinfo, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => join(folder, file));
const registry = new TypeRegistry();

describe('the mesh of Bookinfo', () => {
  test.each([...yamlIn('mesh'), ...yamlIn('rules')])('%s is valid', async (file) => {
    const content = readFileSync(join(bookinfo, file));
    const { resources, problems } = await readResourceFile(registry, file, content);
    expect(problems).toEqual([]);
    expect(resources.length).toBeGreaterThan(0);
  });

  test.each(['bootstrap.yaml', 'istio/bootstrap.yaml'])('%s is valid', async (file) => {
    const { problems } = await loadBootstrap({
      configPath: join(bookinfo, file),
      serviceNode: 'n',
      serviceCluster: 'c',
    });
    expect(problems.map(formatProblem)).toEqual([]);
  });

  test('every port in it is known, so that it can be moved', () => {
    const used = yamlIn('mesh').flatMap((file) =>
      [...readFileSync(join(bookinfo, file), 'utf8').matchAll(/port_value: (\d+)/g)].map(([, port]) => Number(port)),
    );
    expect(used.filter((port) => !allPorts().includes(port))).toEqual([]);
    expect(shiftPorts('{ address: 127.0.0.1, port_value: 9080 }', 1000)).toBe(
      '{ address: 127.0.0.1, port_value: 10080 }',
    );
  });

  test('there is the same rule for either control plane', () => {
    const names = (folder: string): string[] => yamlIn(folder).map((file) => file.slice(folder.length + 1));
    expect(names('rules').sort()).toEqual(names('istio/rules').sort());
  });
});
