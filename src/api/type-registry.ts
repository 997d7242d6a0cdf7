import { readFileSync } from 'node:fs';
import type { DescField, DescFile, DescMessage, Message, MutableRegistry } from '@bufbuild/protobuf';
import { createMutableRegistry } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import {
  AnySchema,
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
} from '@bufbuild/protobuf/wkt';
import { suggestion } from '../lib/nearest.ts';
import type { FieldProblem } from './config-node.ts';

/** What an Any (or the TypedStruct in it) holds. */
export interface UnpackedAny {
  /** The full name of the message; of the inner one for a TypedStruct. '' for an empty Any. */
  readonly typeName: string;
  /** Undefined when the type is unknown or not loaded. */
  readonly desc: DescMessage | undefined;
  /** Undefined when the type is, or when the bytes could not be read; `problems` then says why. */
  readonly message: Message | undefined;
  /** Paths are relative to the Any. */
  readonly problems: readonly FieldProblem[];
}

/** In the published package all modules are in one folder. */
const GENERATED = new URL(import.meta.url.endsWith('.ts') ? 'generated/' : 'api/generated/', import.meta.url);

/**
 * The message types of the API, loaded on demand: importing all generated modules costs a third of a second, a
 * config names a few. A loaded module brings everything that it imports. One registry a process is enough, but
 * nothing needs that.
 */
export class TypeRegistry {
  /** Message type -> generated module, of all that exist. */
  readonly #index: Readonly<Record<string, string>>;
  readonly #types = new Map<string, DescMessage>();
  readonly #files = new Set<string>();
  readonly #registry = createMutableRegistry();
  readonly #fields = new WeakMap<DescMessage, Map<string, DescField>>();
  /** The messages of the API that can hold an Any. */
  readonly #anyHolders: ReadonlySet<string>;
  readonly #holdsAny = new Map<string, boolean>();
  readonly #unpacked = new WeakMap<Any, UnpackedAny>();

  constructor() {
    this.#index = readGenerated<Record<string, string>>('message-index.json');
    this.#anyHolders = new Set(readGenerated<string[]>('any-holders.json'));
    for (const file of [
      file_google_protobuf_any,
      file_google_protobuf_duration,
      file_google_protobuf_empty,
      file_google_protobuf_field_mask,
      file_google_protobuf_struct,
      file_google_protobuf_timestamp,
      file_google_protobuf_wrappers,
    ])
      this.#addFile(file);
  }

  /** True if the API has a message of this name, loaded or not. */
  knows(typeName: string): boolean {
    return this.#types.has(typeName) || Object.hasOwn(this.#index, typeName);
  }

  /** The descriptor, if it has been loaded. */
  get(typeName: string): DescMessage | undefined {
    return this.#types.get(typeName);
  }

  /** Everything loaded so far, as protobuf-es's own functions (toJson of an Any, ...) want it. Grows. */
  get loaded(): MutableRegistry {
    return this.#registry;
  }

  /** Loads the modules of those of the types that the API has; the others are ignored. */
  async load(typeNames: Iterable<string>): Promise<void> {
    const modules = new Set<string>();
    for (const typeName of typeNames)
      if (!this.#types.has(typeName) && Object.hasOwn(this.#index, typeName)) modules.add(this.#index[typeName]!);
    await Promise.all(
      Array.from(modules, async (module) => {
        const exports = (await import(new URL(module, GENERATED).href)) as Record<string, unknown>;
        for (const value of Object.values(exports)) if (isDescFile(value)) this.#addFile(value);
      }),
    );
  }

  /** Makes the types of a file, and of all that it imports, known as loaded. */
  #addFile(file: DescFile): void {
    if (this.#files.has(file.name)) return;
    this.#files.add(file.name);
    for (const message of file.messages) this.#addMessage(message);
    for (const enumeration of file.enums) this.#registry.add(enumeration);
    for (const dependency of file.dependencies) this.#addFile(dependency);
  }

  #addMessage(message: DescMessage): void {
    this.#types.set(message.typeName, message);
    this.#registry.add(message);
    for (const nested of message.nestedMessages) this.#addMessage(nested);
  }

  /** ` (did you mean 'x'?)` for a type name that the API does not have. */
  suggestType(typeName: string): string {
    const short = typeName.slice(typeName.lastIndexOf('.') + 1);
    const all = Object.keys(this.#index);
    const sameName = all.find((candidate) => candidate.endsWith(`.${short}`) && /\bextensions\b/.test(candidate));
    return sameName === undefined ? suggestion(typeName, all) : ` (did you mean '${sameName}'?)`;
  }

  /** A field by its proto name or its JSON name. */
  fieldNamed(desc: DescMessage, key: string): DescField | undefined {
    let fields = this.#fields.get(desc);
    if (fields === undefined) {
      fields = new Map();
      for (const field of desc.fields) {
        fields.set(field.jsonName, field);
        fields.set(field.name, field);
      }
      this.#fields.set(desc, fields);
    }
    return fields.get(key);
  }

  /** True if a message of this type can hold an Any, at any depth. */
  canHoldAny(desc: DescMessage): boolean {
    // Told by name, so that descriptors need not be made for the question.
    if (Object.hasOwn(this.#index, desc.typeName)) return this.#anyHolders.has(desc.typeName);
    const known = this.#holdsAny.get(desc.typeName);
    if (known !== undefined) return known;
    const seen = new Set<DescMessage>();
    const reaches = (message: DescMessage): boolean => {
      if (message.typeName === AnySchema.typeName) return true;
      if (seen.has(message)) return false;
      seen.add(message);
      return message.fields.some((field) => field.message !== undefined && reaches(field.message));
    };
    const found = reaches(desc);
    this.#holdsAny.set(desc.typeName, found);
    return found;
  }

  /** What an Any is known to hold (see any.ts); kept as long as the Any lives. */
  unpacked(any: Any): UnpackedAny | undefined {
    return this.#unpacked.get(any);
  }

  remember(any: Any, unpacked: UnpackedAny): void {
    this.#unpacked.set(any, unpacked);
  }
}

function readGenerated<T>(file: string): T {
  return JSON.parse(readFileSync(new URL(file, GENERATED), 'utf8')) as T;
}

function isDescFile(value: unknown): value is DescFile {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'file';
}
