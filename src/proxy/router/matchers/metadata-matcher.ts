import type { MetadataMatcherModel, ValueMatcherModel } from '../../../config/route-model.ts';
import { compileStringMatcher, type StringMatcher } from '../../../lib/string-matcher.ts';

/** A compiled type.matcher.v3.MetadataMatcher. */
export class MetadataMatcher {
  readonly #filter: string;
  readonly #path: readonly string[];
  readonly #value: ValueMatcher;
  readonly #invert: boolean;

  constructor(model: MetadataMatcherModel) {
    this.#filter = model.filter;
    this.#path = model.path;
    this.#value = new ValueMatcher(model.value);
    this.#invert = model.invert;
  }

  /** `metadata`: filter name -> JSON object. */
  matches(metadata: ReadonlyMap<string, unknown>): boolean {
    let value: unknown = metadata.get(this.#filter);
    for (const key of this.#path) {
      if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) {
        value = undefined;
        break;
      }
      value = (value as Record<string, unknown>)[key];
    }
    return this.#value.matches(value) !== this.#invert;
  }
}

/** A compiled type.matcher.v3.ValueMatcher; `undefined` stands for a value that isn't there. */
class ValueMatcher {
  readonly #model: ValueMatcherModel;
  readonly #string: StringMatcher | undefined;
  readonly #inner: readonly ValueMatcher[];

  constructor(model: ValueMatcherModel) {
    this.#model = model;
    this.#string = model.kind === 'string' ? compileStringMatcher(model.matcher) : undefined;
    if (model.kind === 'list') this.#inner = [new ValueMatcher(model.oneOf)];
    else this.#inner = model.kind === 'or' ? model.values.map((value) => new ValueMatcher(value)) : [];
  }

  matches(value: unknown): boolean {
    const model = this.#model;
    switch (model.kind) {
      case 'null':
        return value === null;
      case 'double-exact':
        return value === model.value;
      case 'double-range':
        return typeof value === 'number' && value >= model.start && value < model.end;
      case 'string':
        return typeof value === 'string' && this.#string!.matches(value);
      case 'bool':
        return value === model.value;
      case 'present':
        return value !== undefined && value !== null && model.value;
      case 'list':
        return Array.isArray(value) && value.some((item) => this.#inner[0]!.matches(item));
      case 'or':
        return this.#inner.some((matcher) => matcher.matches(value));
    }
  }
}
