import { readFile } from 'node:fs/promises';
import { clone, create, mergeFromBinary, toBinary } from '@bufbuild/protobuf';
import { hasTypedStruct, resolveTypedStructs } from '../api/any.ts';
import type { Bootstrap } from '../api/generated/envoy/config/bootstrap/v3/bootstrap_pb.js';
import { BootstrapSchema } from '../api/generated/envoy/config/bootstrap/v3/bootstrap_pb.js';
import { LocalitySchema, NodeSchema } from '../api/generated/envoy/config/core/v3/base_pb.js';
import { TypeRegistry } from '../api/type-registry.ts';
import type { DeprecatedField } from '../api/validate.ts';
import { MessageValidator } from '../api/validate.ts';
import type { OverloadModel } from './builders/overload-manager.ts';
import { checkBootstrap } from './check-bootstrap.ts';
import type { Problem } from './problem.ts';
import { Problems } from './problem.ts';
import type { ReadConfig } from './read-config.ts';
import { readConfig, readConfigObject, syntaxOf } from './read-config.ts';
import type { RuntimeLayers } from './runtime-layers.ts';
import type { Position } from './source-document.ts';
import { locateField, SourceDocument } from './source-document.ts';

/** Where the bootstrap comes from, and what the command line adds to it. */
export interface BootstrapOptions {
  readonly configPath?: string | undefined;
  /** YAML; merged over the file. */
  readonly configYaml?: string | undefined;
  /** A bootstrap as an object, for a proxy started in code; merged below the file. */
  readonly config?: unknown;
  readonly serviceNode?: string | undefined;
  readonly serviceCluster?: string | undefined;
  readonly serviceZone?: string | undefined;
  /** Reports unknown fields in the bootstrap instead of refusing them. */
  readonly allowUnknownStaticFields?: boolean | undefined;
  /** The types loaded so far; a new one is made otherwise. */
  readonly registry?: TypeRegistry | undefined;
}

export interface LoadedBootstrap {
  /** Merged, TypedStructs resolved. Not to be used when `problems` has errors. */
  readonly bootstrap: Bootstrap;
  /** As it was configured, TypedStructs and all: for the /config_dump page. */
  readonly configured: Bootstrap;
  readonly runtime: RuntimeLayers;
  readonly overload: OverloadModel;
  readonly registry: TypeRegistry;
  /** For what comes later: xDS resources. */
  readonly validator: MessageValidator;
  /** Errors, and what is set and not implemented, of the bootstrap itself and of all that its messages' rules refuse. */
  readonly problems: readonly Problem[];
  readonly deprecated: readonly DeprecatedField[];
  /** Where a field stands, or the nearest field around it that is written out. */
  locate(path: string): Position | undefined;
}

/** What `configYaml` is called in messages. */
const INLINE = '--config-yaml';

/**
 * Reads, merges and validates a bootstrap, and finds all of its problems at once. Never throws for what the config
 * says. The resources in it are validated by their descriptors' rules here, and by their builders afterwards.
 */
export async function loadBootstrap(options: BootstrapOptions): Promise<LoadedBootstrap> {
  const registry = options.registry ?? new TypeRegistry();
  await registry.load([BootstrapSchema.typeName]);
  const parts = await readParts(options, registry);
  const documents = parts.map((part) => part.document);
  const read = parts.flatMap((part) => part.problems);

  const bootstrap = parts[0]?.message ?? create(BootstrapSchema);
  // Protobuf's own merge: messages merge, lists append, values that are set replace.
  for (const part of parts.slice(1))
    mergeFromBinary(BootstrapSchema, bootstrap, toBinary(BootstrapSchema, part.message));
  applyServiceOptions(bootstrap, options);

  const validator = new MessageValidator(registry);
  const validated = validator.validate(BootstrapSchema, bootstrap);
  const found = new Problems();
  for (const { path, message } of validated.problems) found.list.push({ severity: 'error', path, message });
  const { runtime, overload } = checkBootstrap(bootstrap, registry, found);

  const hasStructs = hasTypedStruct(registry, BootstrapSchema, bootstrap);
  const configured = hasStructs ? clone(BootstrapSchema, bootstrap) : bootstrap;
  if (hasStructs) resolveTypedStructs(registry, BootstrapSchema, bootstrap);
  const locate = (path: string): Position | undefined => locateField(documents, path);
  return {
    bootstrap,
    configured,
    runtime,
    overload,
    registry,
    validator,
    problems: [...read, ...withPositions(withoutConsequences(found.list, read), locate)],
    deprecated: validated.deprecated,
    locate,
  };
}

/** Fills in the positions of problems that builders found, from their paths. */
export function withPositions(
  problems: readonly Problem[],
  locate: (path: string) => Position | undefined,
): readonly Problem[] {
  return problems.map((problem) => {
    const position = problem.position ?? locate(problem.path);
    return position === undefined ? problem : { ...problem, position };
  });
}

type Part = ReadConfig<typeof BootstrapSchema>;

async function readParts(options: BootstrapOptions, registry: TypeRegistry): Promise<readonly Part[]> {
  const { config, configPath, configYaml } = options;
  const allow = options.allowUnknownStaticFields ?? false;
  const parts: Part[] = [];
  if (config !== undefined) parts.push(await readConfigObject(registry, BootstrapSchema, 'config', config, allow));
  if (configPath !== undefined && configPath !== '') {
    try {
      const content = await readFile(configPath);
      parts.push(await readConfig(registry, BootstrapSchema, configPath, content, syntaxOf(configPath), allow));
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const reason = code === 'ENOENT' ? 'there is no such file' : message;
      parts.push(failedPart(`unable to read ${configPath}: ${reason}`));
    }
  }
  if (configYaml !== undefined && configYaml !== '')
    parts.push(await readConfig(registry, BootstrapSchema, INLINE, Buffer.from(configYaml), 'yaml', allow));
  if (parts.length === 0)
    parts.push(failedPart('at least one of --config-path (-c) and --config-yaml has to be given'));
  return parts;
}

function failedPart(message: string): Part {
  return {
    message: create(BootstrapSchema),
    document: new SourceDocument('', '', undefined),
    problems: [{ severity: 'error', path: '', message }],
  };
}

/** --service-node, --service-cluster and --service-zone win over the file. */
function applyServiceOptions(bootstrap: Bootstrap, options: BootstrapOptions): void {
  const { serviceNode = '', serviceCluster = '', serviceZone = '' } = options;
  if (serviceNode === '' && serviceCluster === '' && serviceZone === '') return;
  const node = (bootstrap.node ??= create(NodeSchema));
  if (serviceNode !== '') node.id = serviceNode;
  if (serviceCluster !== '') node.cluster = serviceCluster;
  if (serviceZone !== '') (node.locality ??= create(LocalitySchema)).zone = serviceZone;
}

/** A field that could not be read is not there: what the rules say about that is no news. */
export function withoutConsequences(problems: readonly Problem[], read: readonly Problem[]): readonly Problem[] {
  const paths = read.filter((problem) => problem.severity === 'error').map((problem) => problem.path);
  if (paths.length === 0) return problems;
  if (paths.includes('')) return [];
  return problems.filter(({ path }) => !paths.some((other) => isWithin(path, other) || isWithin(other, path)));
}

function isWithin(path: string, outer: string): boolean {
  return path === outer || path.startsWith(`${outer}.`) || path.startsWith(`${outer}[`);
}
