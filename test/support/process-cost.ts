import { readFileSync } from 'node:fs';

/** Clock ticks a second in /proc/<pid>/stat. */
const TICKS = 100;

/** What a process (all its threads) has used so far. */
export interface ProcessCost {
  readonly cpuMs: number;
  readonly rssMiB: number;
}

export function processCost(pid: number): ProcessCost {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const kib = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  return { cpuMs: ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS, rssMiB: kib / 1024 };
}
