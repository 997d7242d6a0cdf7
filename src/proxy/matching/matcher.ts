import type {
  MatcherInputModel,
  MatcherModel,
  MatcherTreeModel,
  OnMatchModel,
  PredicateModel,
} from '../../config/matcher-model.ts';
import { CidrList, parseCidr } from '../../lib/cidr.ts';
import { parseIpAddress } from '../../lib/ip-address.ts';
import { PrefixMap } from '../../lib/prefix-map.ts';
import { compileStringMatcher } from '../../lib/string-matcher.ts';

/** The value of an input; undefined: there is none. */
export type MatcherInput<Subject> = (subject: Subject) => string | undefined;

/** Decides by a matching tree. Undefined: nothing matched. */
export type CompiledMatcher<Subject, Action> = (subject: Subject) => Action | undefined;

/** What the user of a tree adds to it. */
export interface MatcherVocabulary<Subject, Model, Action> {
  readonly compileInput: (model: MatcherInputModel) => MatcherInput<Subject>;
  readonly compileAction: (model: Model) => Action;
}

/**
 * Compiles a matching tree (xds.type.matcher.v3.Matcher). As in Envoy an entry that leads to no action counts as one
 * that didn't match, and the search goes on.
 */
export function compileMatcher<Subject, Model, Action>(
  model: MatcherModel<Model>,
  vocabulary: MatcherVocabulary<Subject, Model, Action>,
): CompiledMatcher<Subject, Action> {
  const onNoMatch = model.onNoMatch === undefined ? nothing : compileOnMatch(model.onNoMatch, vocabulary);
  if (model.kind === 'tree') return compileTree(model, onNoMatch, vocabulary);
  const fields = model.matchers.map(({ predicate, onMatch }) => ({
    matches: compilePredicate(predicate, vocabulary),
    decide: compileOnMatch(onMatch, vocabulary),
  }));
  return (subject) => {
    for (const { matches, decide } of fields) {
      if (!matches(subject)) continue;
      const action = decide(subject);
      if (action !== undefined) return action;
    }
    return onNoMatch(subject);
  };
}

function nothing(): undefined {
  return undefined;
}

function compileOnMatch<Subject, Model, Action>(
  model: OnMatchModel<Model>,
  vocabulary: MatcherVocabulary<Subject, Model, Action>,
): CompiledMatcher<Subject, Action> {
  if (model.kind === 'matcher') return compileMatcher(model.matcher, vocabulary);
  const action = vocabulary.compileAction(model.action);
  return () => action;
}

function compileTree<Subject, Model, Action>(
  model: MatcherTreeModel<Model>,
  onNoMatch: CompiledMatcher<Subject, Action>,
  vocabulary: MatcherVocabulary<Subject, Model, Action>,
): CompiledMatcher<Subject, Action> {
  const input = vocabulary.compileInput(model.input);
  const candidates = candidatesOf(model, (onMatch) => compileOnMatch(onMatch, vocabulary));
  return (subject) => {
    const value = input(subject);
    if (value !== undefined) {
      for (const { decide, exclusive } of candidates(value)) {
        const action = decide(subject);
        if (action !== undefined) return action;
        if (exclusive) break;
      }
    }
    return onNoMatch(subject);
  };
}

interface Candidate<Subject, Action> {
  readonly decide: CompiledMatcher<Subject, Action>;
  readonly exclusive: boolean;
}

/** The entries of a tree for a value, the best first. */
function candidatesOf<Subject, Model, Action>(
  { by, entries }: MatcherTreeModel<Model>,
  compile: (onMatch: OnMatchModel<Model>) => CompiledMatcher<Subject, Action>,
): (value: string) => Iterable<Candidate<Subject, Action>> {
  const pairs = entries.flatMap(({ keys, onMatch, exclusive }) => {
    const candidate = { decide: compile(onMatch), exclusive };
    return keys.map((key) => [key, candidate] as const);
  });
  if (by === 'ip') {
    const ranges = new PrefixMap<Candidate<Subject, Action>>();
    for (const [key, candidate] of pairs) {
      const range = parseCidr(key);
      if (range !== undefined && ranges.get(range) === undefined) ranges.set(range, candidate);
    }
    return (value) => {
      const address = parseIpAddress(value);
      return address === undefined ? [] : ranges.all(address);
    };
  }
  const map = new Map(pairs);
  const one = (key: string): Candidate<Subject, Action>[] => {
    const found = map.get(key);
    return found === undefined ? [] : [found];
  };
  if (by === 'exact') return one;
  if (by === 'server-name') return (value) => serverNames(value).flatMap(one);
  const lengths = [...new Set(pairs.map(([key]) => key.length))].sort((a, b) => b - a);
  return (value) => lengths.flatMap((length) => (length <= value.length ? one(value.slice(0, length)) : []));
}

/** The name, then its wildcards from the longest to `*`. */
function serverNames(name: string): string[] {
  const names = [name];
  for (let dot = name.indexOf('.', 1); dot !== -1; dot = name.indexOf('.', dot + 1)) names.push(`*${name.slice(dot)}`);
  names.push('*');
  return names;
}

function compilePredicate<Subject, Model, Action>(
  model: PredicateModel,
  vocabulary: MatcherVocabulary<Subject, Model, Action>,
): (subject: Subject) => boolean {
  switch (model.kind) {
    case 'string': {
      const input = vocabulary.compileInput(model.input);
      const matcher = compileStringMatcher(model.matcher);
      return (subject) => {
        const value = input(subject);
        return value !== undefined && matcher.matches(value);
      };
    }
    case 'ip': {
      const input = vocabulary.compileInput(model.input);
      const ranges = new CidrList(model.ranges);
      return (subject) => {
        const value = input(subject);
        const address = value === undefined ? undefined : parseIpAddress(value);
        return address !== undefined && ranges.contains(address);
      };
    }
    case 'not': {
      const matches = compilePredicate(model.predicate, vocabulary);
      return (subject) => !matches(subject);
    }
    case 'and':
    case 'or': {
      const all = model.predicates.map((predicate) => compilePredicate(predicate, vocabulary));
      return model.kind === 'and'
        ? (subject) => all.every((matches) => matches(subject))
        : (subject) => all.some((matches) => matches(subject));
    }
  }
}
