import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { StatsConfigSchema } from '../../../src/api/generated/envoy/config/metrics/v3/stats_pb.js';
import { buildStatsConfig } from '../../../src/config/builders/stats-config.ts';
import { Problems } from '../../../src/config/problem.ts';
import { DEFAULT_STATS_CONFIG } from '../../../src/telemetry/stats/stats-config.ts';

describe('stats_config', () => {
  test('defaults', () => {
    const problems = new Problems();
    expect(buildStatsConfig(undefined, problems)).toEqual(DEFAULT_STATS_CONFIG);
    expect(buildStatsConfig(create(StatsConfigSchema), problems)).toEqual(DEFAULT_STATS_CONFIG);
    expect(problems.list).toEqual([]);
  });

  test('tags, matcher and buckets', () => {
    const problems = new Problems();
    const model = buildStatsConfig(
      create(StatsConfigSchema, {
        useAllDefaultTags: false,
        statsTags: [
          { tagName: 'a', tagValue: { case: 'regex', value: '^x\\.((.*))' } },
          { tagName: 'envoy.cluster_name' },
          { tagName: 'f', tagValue: { case: 'fixedValue', value: 'v' } },
        ],
        statsMatcher: {
          statsMatcher: {
            case: 'inclusionList',
            value: { patterns: [{ matchPattern: { case: 'prefix', value: 'cluster.' } }] },
          },
        },
        histogramBucketSettings: [
          { match: { matchPattern: { case: 'suffix', value: 'time' } }, buckets: [10, 0.5, 2] },
        ],
      }),
      problems,
    );
    expect(problems.list).toEqual([]);
    expect(model).toEqual({
      useAllDefaultTags: false,
      tags: [
        { kind: 'regex', name: 'a', regex: '^x\\.((.*))' },
        { kind: 'regex', name: 'envoy.cluster_name', regex: '' },
        { kind: 'fixed', name: 'f', value: 'v' },
      ],
      matcher: { kind: 'inclusion', patterns: [{ kind: 'prefix', value: 'cluster.', ignoreCase: false }] },
      histogramBuckets: [{ match: { kind: 'suffix', value: 'time', ignoreCase: false }, buckets: [0.5, 2, 10] }],
    });
    expect(structuredClone(model)).toEqual(model);
  });

  test('names every problem with its place', () => {
    const problems = new Problems('stats_config');
    buildStatsConfig(
      create(StatsConfigSchema, {
        statsTags: [{ tagName: 'nope' }, { tagName: 'a', tagValue: { case: 'regex', value: '(' } }],
        statsMatcher: {
          statsMatcher: {
            case: 'exclusionList',
            value: { patterns: [{ matchPattern: { case: 'safeRegex', value: { regex: '[' } } }] },
          },
        },
        histogramBucketSettings: [{ buckets: [1] }],
      }),
      problems,
    );
    expect(problems.list.map(({ path }) => path)).toEqual([
      'stats_config.stats_tags[0]',
      'stats_config.stats_tags[1].regex',
      'stats_config.stats_matcher.exclusion_list.patterns[0].safe_regex.regex',
      'stats_config.histogram_bucket_settings[0].match',
    ]);
  });
});
