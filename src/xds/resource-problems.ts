import type { Problem } from '../config/problem.ts';
import type { ProcessLog } from '../telemetry/log.ts';

/** What is wrong with a resource, in one line, for its refusal. */
export function problemText(problems: readonly Problem[]): string {
  return problems
    .filter(({ severity }) => severity === 'error')
    .map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
    .join('; ');
}

/** Tells the operator what a resource sets and we lack. `what`: `listener 'l'`. */
export function reportUnsupportedOf(what: string, problems: readonly Problem[], log: Pick<ProcessLog, 'warn'>): void {
  for (const { severity, path, message } of problems)
    if (severity === 'unsupported') log.warn('config', `${what}: unsupported: ${path} ${message}`);
}
