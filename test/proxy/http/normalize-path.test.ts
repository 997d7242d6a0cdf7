import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  canonicalizePath,
  mergeSlashes,
  normalizeRequestPath,
  type PathOptions,
} from '../../../src/proxy/http/normalize-path.ts';

const [header, ...rows] = readFileSync(new URL('recorded/paths.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('# '))
  .map((line) => line.split('\t'));
const settings = header!.slice(1).map((name): PathOptions => {
  const [normalizePath, merge, escapedSlashes] = name.split(',');
  return {
    normalizePath: normalizePath === 'true',
    mergeSlashes: merge === 'true',
    escapedSlashes: escapedSlashes as PathOptions['escapedSlashes'],
  };
});
const normalizing: PathOptions = { normalizePath: true, mergeSlashes: false, escapedSlashes: 'keep-unchanged' };

function outcome(path: string, options: PathOptions): string {
  const result = normalizeRequestPath(path, options);
  if (result === undefined) return '400';
  if (typeof result !== 'string') return `307 ${result.path}`;
  return result === path ? '=' : result;
}

describe('normalizeRequestPath', () => {
  test.each(rows.map(([path, ...wanted]) => ({ path: path!, wanted })))(
    'does as Envoy with $path',
    ({ path, wanted }) => {
      expect(settings.map((options) => outcome(path, options))).toEqual(wanted);
    },
  );

  test('decodes escapes of unreserved characters only, and refuses NUL', () => {
    for (let byte = 0; byte < 256; byte++) {
      const escape = `%${byte.toString(16).padStart(2, '0')}`;
      const char = String.fromCharCode(byte);
      const wanted = byte === 0 ? '400' : /[-.\w~]/.test(char) && byte < 128 ? `/p${char}q` : '=';
      expect(outcome(`/p${escape}q`, normalizing), escape).toBe(wanted);
    }
  });

  test('leaves the query alone', () => {
    const all: PathOptions = { normalizePath: true, mergeSlashes: true, escapedSlashes: 'unescape-and-forward' };
    expect(outcome('/a/../b?x=%2f//..%41', all)).toBe('/b?x=%2f//..%41');
  });

  const path = fc
    .array(fc.constantFrom('/', '.', '..', '%2e', '%2F', '\\', 'a', ';', '%41', '{', '%'))
    .map((parts) => `/${parts.join('')}`);

  test('settles: a normalised path has no dot segments and stays as it is', () => {
    fc.assert(
      fc.property(path, (target) => {
        const once = canonicalizePath(target)!;
        expect(once.startsWith('/')).toBe(true);
        expect(once.split('/').some((segment) => segment === '.' || segment === '..')).toBe(false);
        // One round may make an escape out of a percent sign and what was decoded behind it, so only paths without.
        if (!target.includes('%')) expect(canonicalizePath(once)).toBe(once);
      }),
    );
  });

  test('merging leaves no two slashes in a row, but for a path of slashes', () => {
    fc.assert(
      fc.property(path, (target) => {
        const merged = mergeSlashes(target);
        if (merged !== '//') expect(merged).not.toContain('//');
        expect(merged.replaceAll('/', '')).toBe(target.replaceAll('/', ''));
      }),
    );
  });
});
