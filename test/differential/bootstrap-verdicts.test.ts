import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ACCEPTED, DIFFERENT, REFUSED } from '../support/bootstrap-verdicts.ts';
import { findTool } from '../support/tools.ts';

const envoy = findTool('envoy');
let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'verdicts-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

function verdict(text: string): 'accepts' | 'refuses' {
  const file = join(dir, text.trimStart().startsWith('{') ? 'bootstrap.json' : 'bootstrap.yaml');
  writeFileSync(file, text);
  const { status } = spawnSync(envoy!, ['-c', file, '--mode', 'validate', '-l', 'off', '--disable-hot-restart']);
  return status === 0 ? 'accepts' : 'refuses';
}

describe.skipIf(envoy === undefined)("Envoy's verdicts are the ones that the unit tests hold us to", () => {
  test.each(ACCEPTED)('accepts %s', (text) => {
    expect(verdict(text)).toBe('accepts');
  });

  test.each(REFUSED)('refuses %s', (text) => {
    expect(verdict(text)).toBe('refuses');
  });

  test.each(DIFFERENT)('$envoy $text', ({ text, envoy: expected }) => {
    expect(verdict(text)).toBe(expected);
  });
});
