import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { create, fromBinary } from '@bufbuild/protobuf';
import { loadTypesOf } from '../api/any.ts';
import type { ConfigNode, FieldProblem } from '../api/config-node.ts';
import { nodeFromJson } from '../api/config-node.ts';
import type { SyntaxProblem } from '../api/json-text.ts';
import { parseJsonText } from '../api/json-text.ts';
import { MessageReader, typeNamesIn } from '../api/message-reader.ts';
import type { TypeRegistry } from '../api/type-registry.ts';
import { findUnknownFields } from '../api/unknown-fields.ts';
import type { Problem } from './problem.ts';
import { SourceDocument } from './source-document.ts';
import { parseYaml } from './yaml.ts';

/** How a config text is written. */
export type ConfigSyntax = 'yaml' | 'json' | 'binary' | 'text-format';

export interface ReadConfig<Desc extends DescMessage> {
  /** Incomplete when `problems` has errors. */
  readonly message: MessageShape<Desc>;
  readonly document: SourceDocument;
  readonly problems: readonly Problem[];
}

/** By the file's extension, as Envoy decides it; whatever is none of the known ones is JSON. */
export function syntaxOf(path: string): ConfigSyntax {
  const lower = path.toLowerCase();
  if (lower.endsWith('.yaml') || lower.endsWith('.yml')) return 'yaml';
  if (lower.endsWith('.pb')) return 'binary';
  return lower.endsWith('.pb_text') ? 'text-format' : 'json';
}

/**
 * Reads a message of any syntax, loading the types that it names, and finds all problems. An unknown field is an
 * error, or with `allowUnknownFields` only reported. `file` is what positions name.
 */
export async function readConfig<Desc extends DescMessage>(
  registry: TypeRegistry,
  desc: Desc,
  file: string,
  content: Buffer,
  syntax: ConfigSyntax,
  allowUnknownFields: boolean,
): Promise<ReadConfig<Desc>> {
  if (syntax === 'binary') return readBinary(registry, desc, file, content, allowUnknownFields);
  const text = content.toString('utf8');
  if (syntax === 'text-format') return readTextFormat(registry, desc, file, text);
  const parsed = syntax === 'yaml' ? await parseYaml(text) : parseJsonText(text);
  const document = new SourceDocument(file, text, parsed.root);
  const { root } = parsed;
  if (root === undefined || isScalarRoot(root)) {
    const problems: readonly SyntaxProblem[] =
      root === undefined
        ? parsed.problems
        : [{ message: text.trim() === '' ? 'the file is empty' : 'expected an object', offset: 0 }];
    return {
      message: create(desc),
      document,
      problems: problems.map(({ message, offset }) => withPosition(document, { path: '', message, offset }, false)),
    };
  }
  return readTree(registry, desc, document, root, allowUnknownFields);
}

/** Reads a message from a plain object, as written in code. */
export async function readConfigObject<Desc extends DescMessage>(
  registry: TypeRegistry,
  desc: Desc,
  name: string,
  config: unknown,
  allowUnknownFields: boolean,
): Promise<ReadConfig<Desc>> {
  const root = nodeFromJson(config);
  return readTree(registry, desc, new SourceDocument(name, '', root), root, allowUnknownFields);
}

async function readTree<Desc extends DescMessage>(
  registry: TypeRegistry,
  desc: Desc,
  document: SourceDocument,
  root: ConfigNode,
  allowUnknownFields: boolean,
): Promise<ReadConfig<Desc>> {
  await registry.load(typeNamesIn(root));
  const reader = new MessageReader(registry);
  const message = reader.read(desc, root);
  return {
    message,
    document,
    problems: reader.problems.map((problem) => withPosition(document, problem, allowUnknownFields)),
  };
}

async function readBinary<Desc extends DescMessage>(
  registry: TypeRegistry,
  desc: Desc,
  file: string,
  content: Buffer,
  allowUnknownFields: boolean,
): Promise<ReadConfig<Desc>> {
  const document = new SourceDocument(file, '', undefined);
  try {
    const message = fromBinary(desc, content);
    await loadTypesOf(registry, desc, message);
    const problems = findUnknownFields(registry, desc, message);
    return { message, document, problems: problems.map((item) => withPosition(document, item, allowUnknownFields)) };
  } catch (error) {
    const problem = `unable to parse ${file} as a binary ${desc.typeName}: ${messageOf(error)}`;
    return { message: create(desc), document, problems: [{ severity: 'error', path: '', message: problem }] };
  }
}

async function readTextFormat<Desc extends DescMessage>(
  registry: TypeRegistry,
  desc: Desc,
  file: string,
  text: string,
): Promise<ReadConfig<Desc>> {
  const document = new SourceDocument(file, '', undefined);
  const named = text.matchAll(/(?:\[[\w.-]+\/|type_url:\s*["'][^"']*\/)([\w.]+)/g);
  await registry.load(Array.from(named, ([, typeName]) => typeName!));
  try {
    const { fromText } = await import('@bufbuild/protobuf/txtpb');
    const message = fromText(desc, text, { registry: registry.loaded });
    await loadTypesOf(registry, desc, message);
    return { message, document, problems: [] };
  } catch (error) {
    const problem = `unable to parse ${file} as a text ${desc.typeName}: ${messageOf(error)}`;
    return { message: create(desc), document, problems: [{ severity: 'error', path: '', message: problem }] };
  }
}

function withPosition(document: SourceDocument, problem: FieldProblem, allowUnknownFields: boolean): Problem {
  const position = problem.offset === undefined ? undefined : document.positionAt(problem.offset);
  return {
    severity: problem.unknownField && allowUnknownFields ? 'unsupported' : 'error',
    path: problem.path,
    message: problem.message,
    ...(position !== undefined && { position }),
  };
}

function isScalarRoot(root: ConfigNode): boolean {
  return root.kind === 'scalar';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
