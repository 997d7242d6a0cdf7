import { defaultRegexTags, DEFAULT_TOKEN_TAGS, type RegexTag } from './default-tags.ts';
import type { TagSpecifierModel } from './stats-config.ts';

export interface Tag {
  readonly name: string;
  readonly value: string;
}

/** A name without the parts that became tags. */
export interface TaggedName {
  readonly name: string;
  readonly tags: readonly Tag[];
}

/** The value of a tag and the part of the name that goes with it. */
interface Extraction {
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

interface TagExtractor {
  readonly name: string;
  /** The first dot-separated step that a name must have; '' = any. */
  readonly firstStep: string;
  extract(name: string, steps: readonly string[]): Extraction | undefined;
}

/**
 * Takes the variable parts of a stat name out of it, as labels (Envoy's TagProducer). Every extractor sees the whole
 * name; the first of several for one tag wins. Those for any name come before those for names with a certain first step.
 */
export class TagProducer {
  readonly #general: TagExtractor[] = [];
  readonly #byFirstStep = new Map<string, TagExtractor[]>();

  /** Throws if a regex is bad, or a specifier without one names no default tag; see `isDefaultTag`. */
  constructor(useAllDefaultTags: boolean, specifiers: readonly TagSpecifierModel[]) {
    const defaults = [...defaultRegexTags().map(regexExtractor), ...DEFAULT_TOKEN_TAGS.map(tokenExtractor)];
    if (useAllDefaultTags) for (const extractor of defaults) this.#add(extractor);
    for (const specifier of specifiers) {
      if (specifier.kind === 'fixed') this.#add(fixedExtractor(specifier.name, specifier.value));
      else if (specifier.regex !== '') this.#add(customExtractor(specifier.name, specifier.regex));
      else {
        const found = defaults.filter(({ name }) => name === specifier.name);
        if (found.length === 0) throw new Error(noSuchTag(specifier.name));
        for (const extractor of found) this.#add(extractor);
      }
    }
  }

  produce(name: string): TaggedName {
    const steps = name.split('.');
    const tags: Tag[] = [];
    const removed: Extraction[] = [];
    this.#run(this.#general, name, steps, tags, removed);
    if (steps.length > 1) {
      const extractors = this.#byFirstStep.get(steps[0]!);
      if (extractors !== undefined) this.#run(extractors, name, steps, tags, removed);
    }
    return { name: withoutParts(name, removed), tags };
  }

  #run(
    extractors: readonly TagExtractor[],
    name: string,
    steps: readonly string[],
    tags: Tag[],
    removed: Extraction[],
  ): void {
    for (const extractor of extractors) {
      const found = extractor.extract(name, steps);
      if (found === undefined || tags.some((tag) => tag.name === extractor.name)) continue;
      tags.push({ name: extractor.name, value: found.value });
      if (found.end > found.start) removed.push(found);
    }
  }

  #add(extractor: TagExtractor): void {
    if (extractor.firstStep === '') this.#general.push(extractor);
    else {
      const list = this.#byFirstStep.get(extractor.firstStep);
      if (list === undefined) this.#byFirstStep.set(extractor.firstStep, [extractor]);
      else list.push(extractor);
    }
  }
}

export const noSuchTag = (name: string): string =>
  `No regex specified for tag specifier and no default regex for name: '${name}'`;

export function isDefaultTag(name: string): boolean {
  return DEFAULT_TOKEN_TAGS.some((tag) => tag.name === name) || defaultRegexTags().some((tag) => tag.name === name);
}

function withoutParts(name: string, parts: Extraction[]): string {
  if (parts.length === 0) return name;
  parts.sort((a, b) => a.start - b.start);
  let rest = '';
  let at = 0;
  for (const { start, end } of parts) {
    if (start > at) rest += name.slice(at, start);
    at = Math.max(at, end);
  }
  return rest + name.slice(at);
}

function regexExtractor({ name, regex, firstStep, except }: RegexTag): TagExtractor {
  return {
    name,
    firstStep,
    extract(stat) {
      const match = regex.exec(stat);
      if (match === null || match[1] === '') return undefined;
      const value = match[2]!;
      const [start, end] = match.indices![1]!;
      return value === except ? undefined : { value, start, end };
    },
  };
}

/**
 * A tag's regex: ECMAScript's, as in Envoy, with POSIX classes such as `[:digit:]`. Throws SyntaxError. It comes from the
 * bootstrap only, and sees no input but stat names.
 */
export function tagRegex(regex: string): RegExp {
  return new RegExp(
    regex.replaceAll(/\[:(\w+):\]/g, (all, name: string) => POSIX_CLASSES[name] ?? all),
    'd',
  );
}

const POSIX_CLASSES: Readonly<Record<string, string>> = {
  alnum: 'a-zA-Z0-9',
  alpha: 'a-zA-Z',
  blank: ' \\t',
  digit: '0-9',
  lower: 'a-z',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\s',
  upper: 'A-Z',
  w: '\\w',
  xdigit: '0-9a-fA-F',
};

function customExtractor(name: string, regex: string): TagExtractor {
  const compiled = tagRegex(regex);
  const first = /^\^(\w+)(?:\\\.|\(\?=\\\.\)|\$$)/.exec(regex);
  return {
    name,
    firstStep: first?.[1] ?? '',
    extract(stat) {
      const match = compiled.exec(stat);
      const removed = match?.[1];
      if (removed === undefined || removed === '') return undefined;
      const [start, end] = match!.indices![1]!;
      return { value: match![2] || removed, start, end };
    },
  };
}

function fixedExtractor(name: string, value: string): TagExtractor {
  return { name, firstStep: '', extract: () => ({ value, start: 0, end: 0 }) };
}

function tokenExtractor({ name, tokens }: { name: string; tokens: string }): TagExtractor {
  const pattern = tokens.split('.');
  const first = pattern[0]!;
  return {
    name,
    firstStep: first === '$' || first.startsWith('*') ? '' : first,
    extract(_stat, steps) {
      const index = matchTokens(pattern, steps, 0, 0, -1);
      if (index === -1) return undefined;
      let start = 0;
      for (let i = 0; i < index; i++) start += steps[i]!.length + 1;
      const value = steps[index]!;
      // The dot behind the value goes with it; at the end of the name, the dot before it.
      const last = index === steps.length - 1;
      const end = start + value.length + (last ? 0 : 1);
      return { value, start: last && start > 0 ? start - 1 : start, end };
    },
  };
}

/** The index of the step that `$` stands for, or -1 if the pattern doesn't match all steps. */
function matchTokens(
  pattern: readonly string[],
  steps: readonly string[],
  patternAt: number,
  stepAt: number,
  value: number,
): number {
  for (; patternAt < pattern.length && stepAt < steps.length; patternAt++, stepAt++) {
    const token = pattern[patternAt]!;
    if (token === '$') value = stepAt;
    else if (token === '**') {
      if (patternAt === pattern.length - 1) return value;
      for (; stepAt < steps.length; stepAt++) {
        const found = matchTokens(pattern, steps, patternAt + 1, stepAt, value);
        if (found !== -1) return found;
      }
      return -1;
    } else if (token !== '*' && token !== steps[stepAt]) return -1;
  }
  return patternAt === pattern.length && stepAt === steps.length ? value : -1;
}
