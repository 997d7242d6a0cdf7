import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, sep } from 'node:path';
import { describe, expect, test } from 'vitest';

const PARTS = ['admin', 'api', 'cli', 'config', 'filters', 'lib', 'proxy', 'telemetry', 'xds'];
/** Which layer (folder of src/) may import which. Files at the top of src/ compose everything. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  api: ['lib'],
  filters: ['api', 'lib', 'telemetry'],
  telemetry: ['api', 'lib', 'filters', 'config'],
  config: ['api', 'lib', 'filters', 'telemetry'],
  proxy: ['lib', 'filters', 'telemetry', 'config'],
  xds: ['api', 'lib', 'config', 'telemetry'],
  admin: ['api', 'lib', 'config', 'telemetry'],
  cli: ['api', 'lib', 'config', 'telemetry'],
  worker: PARTS,
  server: [...PARTS, 'worker'],
};
/** Across these borders only contracts and models travel: the importing side is on the left. */
const onlyModels: Readonly<Record<string, RegExp>> = {
  'telemetry>config': /^config\/(common-model|problem)\.ts$/,
  'telemetry>filters': /^filters\/[^/]+\.ts$/,
  'proxy>config': /^config\/([a-z-]+-model|snapshot|problem|runtime)\.ts$/,
  'config>telemetry': /^telemetry\/(access-log|stats)\//,
};

const src = join(import.meta.dirname, '../src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.startsWith(`api${sep}generated`))
  .map((file) => file.replaceAll(sep, '/'));
const imports = new Map(
  files.map((file) => {
    const text = readFileSync(join(src, file), 'utf8');
    const found = [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map(([, target]) =>
      normalize(join(dirname(file), target!)).replaceAll(sep, '/'),
    );
    return [file, found.filter((target) => !target.startsWith('api/generated'))] as const;
  }),
);
const layerOf = (file: string): string | undefined =>
  file.includes('/') ? file.slice(0, file.indexOf('/')) : undefined;

describe('architecture', () => {
  test('every import follows the layer table', () => {
    const breaches: string[] = [];
    for (const [file, targets] of imports) {
      const layer = layerOf(file);
      if (layer === undefined) continue;
      for (const target of targets) {
        const other = layerOf(target);
        if (other === layer) continue;
        const allowed = other !== undefined && mayImport[layer]?.includes(other);
        const border = onlyModels[`${layer}>${other}`];
        if (!allowed || (border !== undefined && !border.test(target))) breaches.push(`${file} imports ${target}`);
      }
    }
    expect(breaches).toEqual([]);
  });

  test('the data path loads no generated message module', () => {
    const breaches = files.filter(
      (file) =>
        file.startsWith('proxy/') && /^import (?!type).*api\/generated/m.test(readFileSync(join(src, file), 'utf8')),
    );
    expect(breaches).toEqual([]);
  });

  test('nothing imports in a circle', () => {
    const state = new Map<string, 'open' | 'done'>();
    const circles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (state.get(file) === 'done') return;
      if (state.get(file) === 'open') {
        circles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
        return;
      }
      state.set(file, 'open');
      const text = imports.has(file) ? readFileSync(join(src, file), 'utf8') : '';
      for (const target of imports.get(file) ?? []) {
        const typeOnly = !new RegExp(
          `^(import|export) (?!type ).*'[^']*${target.slice(target.lastIndexOf('/') + 1)}'`,
          'm',
        ).test(text);
        if (!typeOnly) visit(target, [...path, file]);
      }
      state.set(file, 'done');
    };
    for (const file of files) visit(file, []);
    expect(circles).toEqual([]);
  });
});
