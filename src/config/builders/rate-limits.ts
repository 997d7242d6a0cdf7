import { RateLimitSchema, type RateLimit } from '../../api/generated/envoy/config/route/v3/route_components_pb.js';
import { ConfigError } from '../../filters/config-type.ts';
import { rateLimitActions } from '../../filters/rate-limit-config.ts';
import type { RateLimitAction } from '../../filters/rate-limit-policy.ts';
import type { Problems } from '../problem.ts';
import type { RateLimitModel } from '../route-model.ts';
import { reportUnsupported } from '../unsupported.ts';
import { buildHeaderMatchers, buildQueryParameterMatchers } from './header-matcher.ts';

const FIELDS = ['stage', 'disable_key', 'actions'];

/** The `rate_limits` of a route or a virtual host; `problems` stands at the list. */
export function buildRateLimits(messages: readonly RateLimit[], problems: Problems): RateLimitModel[] {
  return messages.map((message, index) => {
    const at = problems.at(index);
    reportUnsupported(RateLimitSchema, message, FIELDS, at);
    return { stage: message.stage ?? 0, disabled: message.disableKey !== '', actions: buildActions(message, at) };
  });
}

function buildActions({ actions }: RateLimit, problems: Problems): readonly RateLimitAction[] {
  try {
    return rateLimitActions(actions, {
      headers: (matchers, path) => buildHeaderMatchers(matchers, problems.at(path)),
      queryParameters: (matchers, path) => buildQueryParameterMatchers(matchers, problems.at(path)),
    });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.at(error.path).error(error.message);
    return [];
  }
}
