import { createRequire } from 'node:module';
import type * as Re2 from 're2js';

let library: typeof Re2 | undefined;

/**
 * Compiles a regular expression of RE2's syntax, which takes linear time; throws on bad syntax. The library (3 MiB on each
 * thread, for the tables of Unicode) is loaded with the first: most configs have none.
 */
export function compileRe2(pattern: string): Re2.RE2JS {
  library ??= createRequire(import.meta.url)('re2js') as typeof Re2;
  return library.RE2JS.compile(pattern);
}
