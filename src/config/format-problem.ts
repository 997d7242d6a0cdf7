import type { Problem } from './problem.ts';

/** `file:line:column: path: message`; what is only unsupported says so: `file:1:2: unsupported: path: message`. */
export function formatProblem(problem: Problem): string {
  const { position, path, severity } = problem;
  const where = position === undefined ? '' : `${position.file}:${position.line}:${position.column}: `;
  const what = path === '' ? '' : `${path}: `;
  return `${where}${severity === 'unsupported' ? 'unsupported: ' : ''}${what}${problem.message}`;
}
