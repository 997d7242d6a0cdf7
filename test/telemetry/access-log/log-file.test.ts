import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KitStats } from '../../../src/filters/test-kit/kit-stats.ts';
import { LogFile, openForAppend } from '../../../src/telemetry/access-log/log-file.ts';
import { FILESYSTEM_STATS } from '../../../src/telemetry/stats/server-stats.ts';
import { FakeClock } from '../../support/fake-clock.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'log-file-'));
  path = join(folder, 'access.log');
});
afterEach(() => rmSync(folder, { recursive: true }));

function setUp(target: { path: string } | { fd: number } = { path }) {
  const clock = new FakeClock();
  const stats = new KitStats();
  let dropped = 0;
  const file = new LogFile(target, {
    clock,
    stats: stats.block(FILESYSTEM_STATS, 'filesystem'),
    flushIntervalMs: 10_000,
    onDropped: () => dropped++,
  });
  return { clock, file, stat: (name: string) => stats.read(`filesystem.${name}`), dropped: () => dropped };
}

describe('log files', () => {
  test('gather lines until the flush timer fires', async () => {
    const { clock, file, stat } = setUp();
    file.write('a\n');
    file.write('b\xff\n');
    clock.advance(9_999);
    expect(readFileSync(path, 'latin1')).toBe('');
    expect(stat('write_total_buffered')).toBe(5);
    clock.advance(1);
    await file.drained();
    expect(readFileSync(path, 'latin1')).toBe('a\nb\xff\n');
    expect({
      buffered: stat('write_buffered'),
      byTimer: stat('flushed_by_timer'),
      completed: stat('write_completed'),
      total: stat('write_total_buffered'),
    }).toEqual({ buffered: 2, byTimer: 1, completed: 1, total: 0 });
    file.close();
  });

  test('write a large batch at once, and appends to what is there', async () => {
    const first = setUp();
    const line = `${'x'.repeat(1023)}\n`;
    for (let i = 0; i < 64; i++) first.file.write(line);
    expect(first.file.bufferedBytes).toBe(64 * 1024);
    await first.file.drained();
    first.file.close();
    expect(first.stat('flushed_by_timer')).toBe(0);
    const second = setUp();
    second.file.write('end\n');
    second.file.close();
    expect(readFileSync(path, 'latin1')).toBe(`${line.repeat(64)}end\n`);
  });

  test('lines logged during a write follow it, in order', async () => {
    const { file } = setUp();
    file.write('1\n');
    file.flush();
    file.write('2\n');
    await file.drained();
    file.write('3\n');
    file.close();
    expect(readFileSync(path, 'latin1')).toBe('1\n2\n3\n');
    expect(() => file.write('4\n')).not.toThrow();
  });

  test('reopen leaves the old lines in the file that was moved away', async () => {
    const { file, stat } = setUp();
    file.write('old\n');
    renameSync(path, `${path}.1`);
    file.reopen();
    file.write('new\n');
    file.close();
    expect(readFileSync(`${path}.1`, 'latin1')).toBe('old\n');
    expect(readFileSync(path, 'latin1')).toBe('new\n');
    expect(stat('reopen_failed')).toBe(0);
  });

  test('reopen while a batch is being written', async () => {
    const { file } = setUp();
    file.write('old\n');
    file.flush();
    renameSync(path, `${path}.1`);
    file.reopen();
    await file.drained();
    file.write('new\n');
    await file.drained();
    expect(readFileSync(`${path}.1`, 'latin1')).toBe('old\n');
    expect(readFileSync(path, 'latin1')).toBe('new\n');
    file.close();
  });

  test('a path that cannot be opened again keeps the old file and is counted', () => {
    const { file, stat } = setUp();
    renameSync(folder, `${folder}.moved`);
    file.reopen();
    file.write('still\n');
    file.close();
    expect(stat('reopen_failed')).toBe(1);
    renameSync(`${folder}.moved`, folder);
    expect(readFileSync(path, 'latin1')).toBe('still\n');
  });

  test.runIf(existsSync('/dev/full'))('a full disk is a counter', async () => {
    const { file, stat } = setUp({ path: '/dev/full' });
    file.write('lost\n');
    await file.drained();
    expect([stat('write_failed'), stat('write_completed'), stat('write_total_buffered')]).toEqual([1, 0, 0]);
    file.write('lost as well\n');
    file.close();
    expect(stat('write_failed')).toBe(2);
  });

  test('what a stalled disk would pile up is dropped', () => {
    const { file, dropped } = setUp();
    const megabyte = 'x'.repeat(1024 * 1024);
    // The first batch is under way and never done within this turn.
    for (let i = 0; i < 20; i++) file.write(megabyte);
    expect(file.bufferedBytes).toBe(16 * 1024 * 1024);
    expect(dropped()).toBe(4);
    file.close();
  });

  test('opening says what Envoy says', () => {
    expect(() => openForAppend('/nonexistent/x.log')).toThrow(
      "unable to open file '/nonexistent/x.log': No such file or directory",
    );
    expect(() => openForAppend(folder)).toThrow(`unable to open file '${folder}': Is a directory`);
  });
});
