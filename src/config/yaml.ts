import type { ConfigNode } from '../api/config-node.ts';
import type { SyntaxProblem } from '../api/json-text.ts';
import { YamlFastReader } from './yaml-fast-reader.ts';

/**
 * Reads a YAML 1.1 text into a tree as Envoy (yaml-cpp) does: bare `y`, `no` or `on` is a boolean, the first document
 * counts, a key tagged `!ignore` is left out. Beyond Envoy, merge keys (`<<`) work, and a key that is there twice is
 * a problem, where Envoy silently takes one of the two.
 *
 * Two readers: a fast one for the plain style that nearly all configs are written in, which gives up at anything
 * else; then the complete one, loaded only when needed.
 */
export async function parseYaml(text: string): Promise<{
  readonly root?: ConfigNode;
  readonly problems: readonly SyntaxProblem[];
}> {
  const root = new YamlFastReader(text).read();
  if (root !== undefined) return { root, problems: [] };
  const { readYamlDocument } = await import('./yaml-document.ts');
  return readYamlDocument(text);
}
