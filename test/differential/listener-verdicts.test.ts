import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bootstrapWithListener, LISTENER_VERDICTS } from '../support/listener-verdicts.ts';
import { findTool } from '../support/tools.ts';

const envoy = findTool('envoy');
let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'listener-verdicts-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

describe.skipIf(envoy === undefined)(
  "Envoy's verdicts on listeners are the ones that the unit tests hold us to",
  () => {
    test.each(LISTENER_VERDICTS)('%s %s', (verdict, _, fields) => {
      const file = join(dir, 'bootstrap.json');
      writeFileSync(file, JSON.stringify(bootstrapWithListener(fields)));
      const { status } = spawnSync(envoy!, ['-c', file, '--mode', 'validate', '-l', 'off', '--disable-hot-restart']);
      expect(status === 0 ? 'accepts' : 'refuses').toBe(verdict);
    });
  },
);
