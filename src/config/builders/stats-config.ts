import type { StatsConfig, StatsMatcher, TagSpecifier } from '../../api/generated/envoy/config/metrics/v3/stats_pb.js';
import {
  DEFAULT_STATS_CONFIG,
  type HistogramBucketsModel,
  type StatsConfigModel,
  type StatsMatcherModel,
  type TagSpecifierModel,
} from '../../telemetry/stats/stats-config.ts';
import { isDefaultTag, noSuchTag, tagRegex } from '../../telemetry/stats/tag-producer.ts';
import type { Problems } from '../problem.ts';
import { buildStringMatcher } from './common.ts';

/** The bootstrap's `stats_config`; `problems` stands at that field. */
export function buildStatsConfig(message: StatsConfig | undefined, problems: Problems): StatsConfigModel {
  if (message === undefined) return DEFAULT_STATS_CONFIG;
  return {
    useAllDefaultTags: message.useAllDefaultTags ?? true,
    tags: message.statsTags.map((tag, i) => buildTag(tag, problems.at('stats_tags').at(i))),
    matcher: buildMatcher(message.statsMatcher, problems.at('stats_matcher')),
    histogramBuckets: message.histogramBucketSettings.map((settings, i): HistogramBucketsModel => {
      const at = problems.at('histogram_bucket_settings').at(i);
      const buckets = settings.buckets.toSorted((a, b) => a - b);
      if (settings.match === undefined) at.at('match').error('is required');
      return {
        match:
          settings.match === undefined
            ? { kind: 'exact', value: '', ignoreCase: false }
            : buildStringMatcher(settings.match, at.at('match')),
        buckets,
      };
    }),
  };
}

function buildTag(tag: TagSpecifier, problems: Problems): TagSpecifierModel {
  const name = tag.tagName;
  if (tag.tagValue.case === 'fixedValue') return { kind: 'fixed', name, value: tag.tagValue.value };
  const regex = tag.tagValue.value ?? '';
  if (regex === '') {
    if (!isDefaultTag(name)) problems.error(noSuchTag(name));
  } else {
    try {
      tagRegex(regex);
    } catch (error) {
      problems.at('regex').error(`invalid regex: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { kind: 'regex', name, regex };
}

function buildMatcher(message: StatsMatcher | undefined, problems: Problems): StatsMatcherModel {
  const matcher = message?.statsMatcher;
  switch (matcher?.case) {
    case 'rejectAll':
      return { kind: matcher.value ? 'reject-all' : 'accept-all' };
    case 'inclusionList':
    case 'exclusionList': {
      const inclusion = matcher.case === 'inclusionList';
      const at = problems.at(inclusion ? 'inclusion_list' : 'exclusion_list').at('patterns');
      return {
        kind: inclusion ? 'inclusion' : 'exclusion',
        patterns: matcher.value.patterns.map((pattern, i) => buildStringMatcher(pattern, at.at(i))),
      };
    }
    default:
      return DEFAULT_STATS_CONFIG.matcher;
  }
}
