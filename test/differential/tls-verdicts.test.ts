import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { tlsVerdicts } from '../support/tls-verdicts.ts';
import { findTool } from '../support/tools.ts';

const envoy = findTool('envoy');
const dir = mkdtempSync(join(tmpdir(), 'tls-verdicts-'));
afterAll(() => rmSync(dir, { recursive: true }));

describe.skipIf(envoy === undefined)(
  "Envoy's verdicts on TLS contexts are the ones that the unit tests hold us to",
  () => {
    test.each(tlsVerdicts(dir))('$name', ({ yaml, error }) => {
      const file = join(dir, 'bootstrap.yaml');
      writeFileSync(file, yaml);
      const { status, stderr } = spawnSync(
        envoy!,
        ['-c', file, '--mode', 'validate', '-l', 'error', '--disable-hot-restart'],
        { encoding: 'utf8' },
      );
      expect(status).toBe(error === '' ? 0 : 1);
      expect(stderr).toContain(error);
    });
  },
);
