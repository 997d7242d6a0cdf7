import { unpackAny } from '../../api/any.ts';
import type { TypedExtensionConfig } from '../../api/generated/xds/core/v3/extension_pb.js';
import type { ServerNameMatcher } from '../../api/generated/xds/type/matcher/v3/domain_pb.js';
import type { IPMatcher } from '../../api/generated/xds/type/matcher/v3/ip_pb.js';
import type {
  Matcher,
  Matcher_MatcherList_Predicate,
  Matcher_MatcherList_Predicate_SinglePredicate,
  Matcher_MatcherTree,
  Matcher_OnMatch,
} from '../../api/generated/xds/type/matcher/v3/matcher_pb.js';
import type { Ip } from '../../api/generated/envoy/extensions/matching/input_matchers/ip/v3/ip_pb.js';
import type { TypeRegistry } from '../../api/type-registry.ts';
import type {
  MatcherEntryModel,
  MatcherInputModel,
  MatcherModel,
  OnMatchModel,
  PredicateModel,
} from '../matcher-model.ts';
import type { Problems } from '../problem.ts';
import { buildCidrRanges } from './cidr-ranges.ts';
import { buildStringMatcher } from './common.ts';
import { typeNameOf } from '../../api/type-name.ts';

const IP_MATCHER = 'xds.type.matcher.v3.IPMatcher';
const SERVER_NAME_MATCHER = 'xds.type.matcher.v3.ServerNameMatcher';
const IP_INPUT_MATCHER = 'envoy.extensions.matching.input_matchers.ip.v3.Ip';
const NO_INPUT: MatcherInputModel = { kind: '', path: [] };

/** How the user of a matching tree reads its extensions. Each returns undefined after it has reported a problem. */
export interface MatcherBuildContext<Action> {
  readonly types: TypeRegistry;
  readonly buildInput: (message: TypedExtensionConfig, problems: Problems) => MatcherInputModel | undefined;
  readonly buildAction: (message: TypedExtensionConfig, problems: Problems) => Action | undefined;
}

/** xds.type.matcher.v3.Matcher; `problems` stands at it. */
export function buildMatcher<Action>(
  message: Matcher,
  problems: Problems,
  context: MatcherBuildContext<Action>,
): MatcherModel<Action> {
  const onNoMatch = message.onNoMatch && buildOnMatch(message.onNoMatch, problems.at('on_no_match'), context);
  const type = message.matcherType;
  if (type.case === 'matcherTree') return buildTree(type.value, onNoMatch, problems.at('matcher_tree'), context);
  const at = problems.at('matcher_list').at('matchers');
  const fields = type.case === 'matcherList' ? type.value.matchers : [];
  return {
    kind: 'list',
    matchers: fields.flatMap(({ predicate, onMatch }, index) => {
      const here = at.at(index);
      const built = buildPredicate(predicate, here.at('predicate'), context);
      const next = buildOnMatch(onMatch, here.at('on_match'), context);
      return built === undefined || next === undefined ? [] : [{ predicate: built, onMatch: next }];
    }),
    onNoMatch,
  };
}

function buildTree<Action>(
  { input, treeType }: Matcher_MatcherTree,
  onNoMatch: OnMatchModel<Action> | undefined,
  problems: Problems,
  context: MatcherBuildContext<Action>,
): MatcherModel<Action> {
  const tree = { kind: 'tree', input: buildInput(input, problems.at('input'), context), onNoMatch } as const;
  if (treeType.case === 'exactMatchMap' || treeType.case === 'prefixMatchMap') {
    const isExact = treeType.case === 'exactMatchMap';
    const at = problems.at(isExact ? 'exact_match_map' : 'prefix_match_map');
    const entries = Object.entries(treeType.value.map).flatMap(([key, onMatch]) =>
      entry([key], onMatch, false, at.at(`map["${key}"]`), context),
    );
    return { ...tree, by: isExact ? 'exact' : 'prefix', entries };
  }
  const at = problems.at('custom_match').at('typed_config');
  const any = treeType.case === 'customMatch' ? treeType.value.typedConfig : undefined;
  const { typeName, message } =
    any === undefined ? { typeName: '', message: undefined } : unpackAny(context.types, any);
  if (typeName === IP_MATCHER && message !== undefined) {
    const entries = (message as IPMatcher).rangeMatchers.flatMap(({ ranges, onMatch, exclusive }, index) => {
      const here = at.at('range_matchers').at(index);
      return entry(
        buildCidrRanges(ranges as never, here.at('ranges')),
        onMatch,
        exclusive,
        here.at('on_match'),
        context,
      );
    });
    return { ...tree, by: 'ip', entries };
  }
  if (typeName === SERVER_NAME_MATCHER && message !== undefined) {
    const entries = (message as ServerNameMatcher).domainMatchers.flatMap(({ domains, onMatch }, index) =>
      entry(
        domains.map((domain) => domain.toLowerCase()),
        onMatch,
        false,
        at.at('domain_matchers').at(index).at('on_match'),
        context,
      ),
    );
    return { ...tree, by: 'server-name', entries };
  }
  at.error(`unsupported: the matcher '${typeName}' is not implemented`);
  return { ...tree, by: 'exact', entries: [] };
}

function entry<Action>(
  keys: readonly string[],
  message: Matcher_OnMatch | undefined,
  exclusive: boolean,
  problems: Problems,
  context: MatcherBuildContext<Action>,
): MatcherEntryModel<Action>[] {
  const onMatch = buildOnMatch(message, problems, context);
  return onMatch === undefined ? [] : [{ keys, onMatch, exclusive }];
}

function buildOnMatch<Action>(
  message: Matcher_OnMatch | undefined,
  problems: Problems,
  context: MatcherBuildContext<Action>,
): OnMatchModel<Action> | undefined {
  const next = message?.onMatch;
  switch (next?.case) {
    case 'matcher':
      return { kind: 'matcher', matcher: buildMatcher(next.value, problems.at('matcher'), context) };
    case 'action': {
      const action = context.buildAction(next.value, problems.at('action'));
      return action === undefined ? undefined : { kind: 'action', action };
    }
    default:
      problems.error('one of matcher or action must be set');
      return undefined;
  }
}

function buildPredicate<Action>(
  message: Matcher_MatcherList_Predicate | undefined,
  problems: Problems,
  context: MatcherBuildContext<Action>,
): PredicateModel | undefined {
  const type = message?.matchType;
  switch (type?.case) {
    case 'singlePredicate':
      return buildSingle(type.value, problems.at('single_predicate'), context);
    case 'notMatcher': {
      const predicate = buildPredicate(type.value, problems.at('not_matcher'), context);
      return predicate === undefined ? undefined : { kind: 'not', predicate };
    }
    case 'orMatcher':
    case 'andMatcher': {
      const kind = type.case === 'orMatcher' ? 'or' : 'and';
      const at = problems.at(`${kind}_matcher`).at('predicate');
      const predicates = type.value.predicate.map((each, index) => buildPredicate(each, at.at(index), context));
      return { kind, predicates: predicates.filter((each) => each !== undefined) };
    }
    default:
      problems.error('one of single_predicate, or_matcher, and_matcher or not_matcher must be set');
      return undefined;
  }
}

function buildSingle<Action>(
  { input, matcher }: Matcher_MatcherList_Predicate_SinglePredicate,
  problems: Problems,
  context: MatcherBuildContext<Action>,
): PredicateModel | undefined {
  const from = buildInput(input, problems.at('input'), context);
  if (matcher.case === 'valueMatch')
    // The messages of xds and of envoy.type have the same fields.
    return {
      kind: 'string',
      input: from,
      matcher: buildStringMatcher(matcher.value as never, problems.at('value_match')),
    };
  const at = problems.at('custom_match').at('typed_config');
  const any = matcher.case === 'customMatch' ? matcher.value.typedConfig : undefined;
  const { typeName, message } =
    any === undefined ? { typeName: '', message: undefined } : unpackAny(context.types, any);
  if (typeName === IP_INPUT_MATCHER && message !== undefined)
    return { kind: 'ip', input: from, ranges: buildCidrRanges((message as Ip).cidrRanges, at.at('cidr_ranges')) };
  at.error(`unsupported: the input matcher '${typeName || typeNameOf(any?.typeUrl ?? '')}' is not implemented`);
  return undefined;
}

function buildInput<Action>(
  message: TypedExtensionConfig | undefined,
  problems: Problems,
  context: MatcherBuildContext<Action>,
): MatcherInputModel {
  if (message !== undefined) return context.buildInput(message, problems) ?? NO_INPUT;
  problems.error('an input is necessary');
  return NO_INPUT;
}
