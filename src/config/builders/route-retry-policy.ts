import { fromBinary } from '@bufbuild/protobuf';
import {
  RetryPolicySchema,
  type RetryPolicy,
  type RetryPolicy_RetryHostPredicate,
} from '../../api/generated/envoy/config/route/v3/route_components_pb.js';
import { OmitHostMetadataConfigSchema } from '../../api/generated/envoy/extensions/retry/host/omit_host_metadata/v3/omit_host_metadata_config_pb.js';
import type { Metadata } from '../../filters/stream-info.ts';
import type { Problems } from '../problem.ts';
import type { RateLimitedBackOffModel, RetryPolicyModel } from '../route-model.ts';
import { reportUnsupported } from '../unsupported.ts';
import { durationMs } from '../../api/duration.ts';
import { buildMetadata } from './common.ts';
import { buildHeaderMatchers } from './header-matcher.ts';
import { errorText } from './route-scope.ts';
import { typeNameOf } from '../../api/type-name.ts';

const FIELDS = [
  'retry_on',
  'num_retries',
  'per_try_timeout',
  'per_try_idle_timeout',
  'retry_host_predicate',
  'host_selection_retry_max_attempts',
  'retriable_status_codes',
  'retry_back_off',
  'rate_limited_retry_back_off',
  'retriable_headers',
  'retriable_request_headers',
];

const DEFAULT_BASE_INTERVAL_MS = 25;
const DEFAULT_RATE_LIMITED_MAX_MS = 300_000;

/** Message type of a retry host predicate -> the name that the router knows it by. */
const HOST_PREDICATES: Readonly<Record<string, string>> = {
  'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate': 'envoy.retry_host_predicates.previous_hosts',
  'envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate':
    'envoy.retry_host_predicates.omit_canary_hosts',
  [OmitHostMetadataConfigSchema.typeName]: 'envoy.retry_host_predicates.omit_host_metadata',
};

/** route.v3.RetryPolicy with Envoy's defaults: one retry, back-off from 25 ms up to ten times that. */
export function buildRetryPolicy(message: RetryPolicy, problems: Problems): RetryPolicyModel {
  reportUnsupported(RetryPolicySchema, message, FIELDS, problems);
  const backOff = buildBackOff(message, problems.at('retry_back_off'));
  const predicates = message.retryHostPredicate.map((predicate, index) =>
    buildHostPredicate(predicate, problems.at('retry_host_predicate').at(index)),
  );
  return {
    retryOn: message.retryOn,
    numRetries: message.numRetries ?? 1,
    perTryTimeoutMs: wholeMs(message.perTryTimeout),
    perTryIdleTimeoutMs: wholeMs(message.perTryIdleTimeout),
    retriableStatusCodes: message.retriableStatusCodes,
    retriableHeaders: buildHeaderMatchers(message.retriableHeaders, problems.at('retriable_headers')),
    retriableRequestHeaders: buildHeaderMatchers(
      message.retriableRequestHeaders,
      problems.at('retriable_request_headers'),
    ),
    backOffBaseMs: backOff.baseMs,
    backOffMaxMs: backOff.maxMs,
    rateLimited: buildRateLimitedBackOff(message),
    hostPredicates: predicates.map(({ name }) => name),
    omitHostMetadata: predicates.find(({ metadata }) => metadata !== undefined)?.metadata,
    hostSelectionMaxAttempts: Number(message.hostSelectionRetryMaxAttempts) || 1,
    retryPriority: undefined,
  };
}

/** Whole milliseconds, as Envoy reads durations here; undefined when it is unset. */
export function wholeMs(duration: Parameters<typeof durationMs>[0] | undefined): number | undefined {
  return duration === undefined ? undefined : Math.trunc(durationMs(duration));
}

function buildBackOff(message: RetryPolicy, problems: Problems): { baseMs: number; maxMs: number } {
  const base = wholeMs(message.retryBackOff?.baseInterval);
  const max = wholeMs(message.retryBackOff?.maxInterval);
  const baseMs = Math.max(1, base ?? DEFAULT_BASE_INTERVAL_MS);
  if (max === undefined) return { baseMs, maxMs: baseMs * 10 };
  const maxMs = Math.max(1, max);
  if (maxMs < baseMs)
    problems.at('max_interval').error('retry_policy.max_interval must greater than or equal to the base_interval');
  return { baseMs, maxMs };
}

function buildRateLimitedBackOff(message: RetryPolicy): RateLimitedBackOffModel | undefined {
  const backOff = message.rateLimitedRetryBackOff;
  if (backOff === undefined) return undefined;
  return {
    maxIntervalMs: Math.max(1, wholeMs(backOff.maxInterval) ?? DEFAULT_RATE_LIMITED_MAX_MS),
    resetHeaders: backOff.resetHeaders.map(({ name, format }) => ({
      name: name.toLowerCase(),
      format: format === 1 ? 'unix-timestamp' : 'seconds',
    })),
  };
}

function buildHostPredicate(
  message: RetryPolicy_RetryHostPredicate,
  problems: Problems,
): { name: string; metadata: Metadata | undefined } {
  const config = message.configType.value;
  const typeName = typeNameOf(config?.typeUrl ?? '');
  const name = HOST_PREDICATES[typeName];
  if (name === undefined) {
    problems.error(
      `Didn't find a registered implementation for '${message.name}' with type URL: '${config?.typeUrl ?? ''}'`,
    );
    return { name: message.name, metadata: undefined };
  }
  if (typeName !== OmitHostMetadataConfigSchema.typeName) return { name, metadata: undefined };
  try {
    const { metadataMatch } = fromBinary(OmitHostMetadataConfigSchema, config!.value);
    return { name, metadata: buildMetadata(metadataMatch, problems.at('typed_config').at('metadata_match')) };
  } catch (error) {
    problems.at('typed_config').error(errorText(error));
    return { name, metadata: undefined };
  }
}
