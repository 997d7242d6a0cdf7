import type { DescField, DescMessage, DescOneof, Message } from '@bufbuild/protobuf';
import { getOption, hasOption } from '@bufbuild/protobuf';
import type { Any, Duration } from '@bufbuild/protobuf/wkt';
import { AnySchema, DurationSchema } from '@bufbuild/protobuf/wkt';
import { fieldValue, unpackAny } from './any.ts';
import type { FieldProblem } from './config-node.ts';
import { disallowed_by_default } from './generated/envoy/annotations/deprecation_pb.js';
import { disabled, required, rules } from './generated/validate/validate_pb.js';
import type { TypeRegistry } from './type-registry.ts';
import type { Check, FieldChecks } from './validation-rules.ts';
import { compileRules } from './validation-rules.ts';

interface FieldPlan {
  readonly field: DescField;
  readonly checks: FieldChecks | undefined;
  /** The type of the messages in it that have to be looked into. Planned when the first one comes along. */
  readonly nested: DescMessage | undefined;
  /** A wrapper's inner field is what the rules speak of: it is stored bare, or under `value`. */
  readonly wrapped: boolean;
  readonly deprecated: boolean;
  readonly disallowed: boolean;
}

interface MessagePlan {
  readonly desc: DescMessage;
  readonly fields: readonly FieldPlan[];
  readonly oneofs: readonly DescOneof[];
}

/** A set field that Envoy has deprecated; it still works. */
export interface DeprecatedField {
  readonly path: string;
  /** `envoy.config.cluster.v3.Cluster.http2_protocol_options` */
  readonly field: string;
  /** `cluster.proto` */
  readonly file: string;
}

const WRAPPER = /^google\.protobuf\.\w+Value$/;

/** Fields that have no rules any more in Envoy's API; the .proto files of our dependency are older. */
const DROPPED_RULES: ReadonlySet<string> = new Set([
  'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig.resolvers',
]);

/**
 * Runs the `validate.rules` that stand in the descriptors, on a message and on all that it holds, including what its
 * Anys hold as far as their types are loaded; and Envoy's own general rules: durations are not negative, fields that
 * it disallows by default are refused. What a type needs checked is worked out once and kept: use one validator.
 */
export class MessageValidator {
  readonly #registry: TypeRegistry;
  readonly #plans = new Map<string, MessagePlan>();
  #problems: FieldProblem[] = [];
  #deprecated: DeprecatedField[] = [];

  constructor(registry: TypeRegistry) {
    this.#registry = registry;
  }

  /** All problems, in the order of the fields. */
  validate(
    desc: DescMessage,
    message: Message,
  ): { readonly problems: readonly FieldProblem[]; readonly deprecated: readonly DeprecatedField[] } {
    this.#problems = [];
    this.#deprecated = [];
    this.#walk(this.#planFor(desc), message, '');
    return { problems: this.#problems, deprecated: this.#deprecated };
  }

  #planFor(desc: DescMessage): MessagePlan {
    let plan = this.#plans.get(desc.typeName);
    if (plan === undefined) {
      const off = getOption(desc, disabled);
      plan = {
        desc,
        fields: off ? [] : desc.fields.map((field) => this.#planField(field)).filter((field) => field !== undefined),
        oneofs: off ? [] : desc.oneofs.filter((oneof) => getOption(oneof, required)),
      };
      this.#plans.set(desc.typeName, plan);
    }
    return plan;
  }

  #planField(field: DescField): FieldPlan | undefined {
    const isRuled = hasOption(field, rules) && !DROPPED_RULES.has(`${field.parent.typeName}.${field.name}`);
    const checks = isRuled ? compileRules(getOption(field, rules), field) : undefined;
    const inner = field.message;
    const wrapped = inner !== undefined && WRAPPER.test(inner.typeName) && inner.typeName !== 'google.protobuf.Value';
    const opaque = inner === undefined || wrapped || inner.typeName === 'google.protobuf.Struct';
    const nested = opaque || checks?.skip === true ? undefined : inner;
    const disallowed = getOption(field, disallowed_by_default);
    if (checks === undefined && nested === undefined && !field.deprecated && !disallowed) return undefined;
    return { field, checks, nested, wrapped, deprecated: field.deprecated, disallowed };
  }

  #problem(path: string, message: string): void {
    this.#problems.push({ path, message });
  }

  #walk(plan: MessagePlan, message: Message, path: string): void {
    const { desc } = plan;
    if (desc.typeName === AnySchema.typeName) {
      this.#walkAny(message as Any, path);
      return;
    }
    if (desc.typeName === DurationSchema.typeName) {
      const { seconds, nanos } = message as Duration;
      if (seconds < 0n || nanos < 0) this.#problem(path, 'expected a positive duration');
      return;
    }
    for (const field of plan.fields) this.#walkField(field, message, path);
    for (const oneof of plan.oneofs) {
      if ((message as unknown as Record<string, { case?: string }>)[oneof.localName]!.case !== undefined) continue;
      const names = oneof.fields.map((field) => field.name).join(', ');
      this.#problem(path, `one of ${names} is required (${oneof.name})`);
    }
  }

  #walkField(plan: FieldPlan, message: Message, path: string): void {
    const { field, checks } = plan;
    const value = fieldValue(message, field);
    const at = path === '' ? field.name : `${path}.${field.name}`;
    const present = isPresent(field, value);
    if (present && (plan.deprecated || plan.disallowed)) this.#walkDeprecated(plan, at);
    if (checks !== undefined) {
      // In a oneof, a required case is one that is not empty when it is the one that is set.
      if (checks.required && !present && field.oneof === undefined) this.#problem(at, 'value is required');
      const applies = field.fieldKind === 'message' ? present : value !== undefined && (present || !checks.ignoreEmpty);
      if (applies) this.#check(checks.whole, plan.wrapped ? unwrap(value) : value, at);
    }
    if (field.fieldKind === 'list') {
      for (const [index, item] of (value as unknown[]).entries()) this.#walkItem(plan, item, `${at}[${index}]`);
    } else if (field.fieldKind === 'map') {
      for (const [key, item] of Object.entries(value as Record<string, unknown>)) {
        if (checks !== undefined) this.#check(checks.keys, key, `${at}.${key}`);
        this.#walkItem(plan, item, `${at}.${key}`);
      }
    } else if (plan.nested !== undefined && present) this.#walk(this.#planFor(plan.nested), value as Message, at);
  }

  #walkItem(plan: FieldPlan, item: unknown, path: string): void {
    if (plan.checks !== undefined) this.#check(plan.checks.items, plan.wrapped ? unwrap(item) : item, path);
    if (plan.nested !== undefined) this.#walk(this.#planFor(plan.nested), item as Message, path);
  }

  #check(checks: readonly Check[], value: unknown, path: string): void {
    for (const check of checks) {
      const problem = check(value);
      if (problem !== undefined) this.#problem(path, problem);
    }
  }

  #walkAny(any: Any, path: string): void {
    const { desc, message, problems } = unpackAny(this.#registry, any);
    for (const problem of problems) this.#problems.push({ ...problem, path: `${path}.${problem.path}` });
    if (desc === undefined || message === undefined) return;
    const struct = !any.typeUrl.endsWith(`/${desc.typeName}`);
    this.#walk(this.#planFor(desc), message, struct ? `${path}.value` : path);
  }

  #walkDeprecated(plan: FieldPlan, path: string): void {
    const name = `${plan.field.parent.typeName}.${plan.field.name}`;
    if (plan.disallowed) this.#problem(path, `'${name}' is deprecated and disallowed by default`);
    else {
      const file = plan.field.parent.file.proto.name;
      this.#deprecated.push({ path, field: name, file: file.slice(file.lastIndexOf('/') + 1) });
    }
  }
}

function isPresent(field: DescField, value: unknown): boolean {
  switch (field.fieldKind) {
    case 'list':
      return (value as unknown[]).length > 0;
    case 'map':
      return Object.keys(value as object).length > 0;
    case 'message':
      return value !== undefined;
    default:
      return field.oneof === undefined && field.proto.proto3Optional !== true
        ? value !== undefined && value !== 0 && value !== '' && value !== false && value !== 0n && !isEmptyBytes(value)
        : value !== undefined;
  }
}

function isEmptyBytes(value: unknown): boolean {
  return value instanceof Uint8Array && value.length === 0;
}

/** The scalar of a wrapper: bare in a singular field, under `value` elsewhere. */
function unwrap(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'value' in value ? value.value : value;
}
