import { createHash } from 'node:crypto';
import { loadTypesOf } from '../../src/api/any.ts';
import { DiscoveryResponseSchema } from '../../src/api/generated/envoy/service/discovery/v3/discovery_pb.js';
import type { TypeRegistry } from '../../src/api/type-registry.ts';
import { MessageValidator } from '../../src/api/validate.ts';
import { formatProblem } from '../../src/config/format-problem.ts';
import type { Problem } from '../../src/config/problem.ts';
import { readConfig, syntaxOf } from '../../src/config/read-config.ts';
import { locateField } from '../../src/config/source-document.ts';
import { resourceName } from '../../src/xds/resource-name.ts';
import { kindOf } from '../../src/xds/resource-type.ts';
import type { Resource } from './resource.ts';

export interface ResourceFile {
  readonly resources: readonly Resource[];
  /** Each with file:line:column. With one or more of them, `resources` is not to be used. */
  readonly problems: readonly string[];
}

/**
 * Reads resources in the format of Envoy's own file-based xDS, which is a DiscoveryResponse:
 *
 *     resources:
 *       - '@type': type.googleapis.com/envoy.config.cluster.v3.Cluster
 *         name: reviews
 *
 * A file can hold any number of resources, of any types. Everything that the messages' rules refuse is found here,
 * before a proxy sees it; what only a proxy can know comes back as a NACK.
 */
export async function readResourceFile(registry: TypeRegistry, path: string, content: Buffer): Promise<ResourceFile> {
  const read = await readConfig(registry, DiscoveryResponseSchema, path, content, syntaxOf(path), false);
  const problems: Problem[] = [...read.problems];
  const at = (field: string, message: string): void => {
    const position = locateField([read.document], field);
    problems.push({ severity: 'error', path: field, message, ...(position !== undefined && { position }) });
  };
  if (problems.length === 0) {
    await loadTypesOf(registry, DiscoveryResponseSchema, read.message);
    const validated = new MessageValidator(registry).validate(DiscoveryResponseSchema, read.message);
    for (const { path: field, message } of validated.problems) at(field, message);
  }
  const resources: Resource[] = [];
  for (const [index, any] of read.message.resources.entries()) {
    const { typeUrl, value } = any;
    const name = resourceName(value);
    if (kindOf(typeUrl) === undefined) at(`resources[${index}]`, `'${typeUrl}' is not a type of resource`);
    else if (name === '') at(`resources[${index}]`, 'the resource has no name');
    const version = createHash('sha256').update(value).digest('hex').slice(0, 12);
    resources.push({ typeUrl, name, version, any });
  }
  return { resources, problems: problems.map(formatProblem) };
}
