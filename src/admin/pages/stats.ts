import type { RE2JS } from 're2js';
import { renderPrometheus } from '../../telemetry/prometheus-text.ts';
import type { StatSelection } from '../../telemetry/stats/stat-walk.ts';
import { renderStatsJson } from '../../telemetry/stats/stats-json.ts';
import { renderStatsText, type HistogramMode } from '../../telemetry/stats/stats-text.ts';
import {
  JSON_TYPE,
  TEXT,
  textResponse,
  type AdminPage,
  type AdminParam,
  type AdminRequest,
  type AdminResponse,
} from '../page.ts';
import type { AdminSources } from '../sources.ts';
import { statsHtml } from './stats-html.ts';
import { compileRe2 } from '../../lib/re2.ts';

const USED_ONLY: AdminParam = {
  name: 'usedonly',
  help: 'Only include stats that have been written by system since restart',
  kind: 'flag',
};
const FILTERS: readonly AdminParam[] = [
  { name: 'filter', help: 'Regular expression (Google re2) for filtering stats', kind: 'text' },
  { name: 'invert_filter', help: 'Invert the filter regex', kind: 'flag' },
];

const KINDS: Readonly<Record<string, StatSelection['kind']>> = {
  All: 'all',
  Counters: 'counter',
  Gauges: 'gauge',
  Histograms: 'histogram',
  TextReadouts: 'text',
};

/** What a stats query asks for, or the error it is answered with. */
interface StatsQuery {
  readonly format: 'text' | 'json' | 'html' | 'prometheus';
  readonly selection: StatSelection;
  /** As given: undefined = the format's default. */
  readonly histograms: HistogramMode | 'prometheusnative' | undefined;
  readonly textReadouts: boolean;
  readonly filtered: boolean;
}

export const statsPage: AdminPage = {
  path: '/stats',
  help: 'print server stats',
  mutates: false,
  params: [
    USED_ONLY,
    ...FILTERS,
    { name: 'format', help: 'Format to use', kind: ['html', 'active-html', 'text', 'json'] },
    {
      name: 'type',
      help: 'Stat types to include.',
      kind: ['All', 'Counters', 'Histograms', 'Gauges', 'TextReadouts'],
    },
    {
      name: 'histogram_buckets',
      help: 'Histogram bucket display mode',
      kind: ['cumulative', 'disjoint', 'detailed', 'summary'],
    },
  ],
  handle: (request, sources) => answer(request, sources, undefined),
};

export const prometheusPage: AdminPage = {
  path: '/stats/prometheus',
  help: 'print server stats in prometheus format',
  mutates: false,
  params: [
    USED_ONLY,
    {
      name: 'text_readouts',
      help: 'Render text_readouts as new gauges with value 0 (increases Prometheus data size)',
      kind: 'flag',
    },
    ...FILTERS,
    { name: 'histogram_buckets', help: 'Histogram bucket display mode', kind: ['cumulative', 'summary'] },
  ],
  handle: (request, sources) => answer(request, sources, 'prometheus'),
};

async function answer(
  request: AdminRequest,
  sources: AdminSources,
  format: 'prometheus' | undefined,
): Promise<AdminResponse> {
  const query = parse(request, format);
  if (typeof query === 'string') return textResponse(query, 400);
  const { stats } = sources;
  if (sources.flushStatsOnAdmin) await stats.flush();
  const mode = query.histograms ?? 'summary';
  if (query.format === 'prometheus') {
    const histograms = query.histograms ?? 'cumulative';
    if (histograms === 'prometheusnative')
      return textResponse('unsupported prometheusnative histogram type when not using protobuf exposition format', 400);
    if (histograms !== 'cumulative' && histograms !== 'summary')
      return textResponse('unsupported prometheus histogram bucket mode', 400);
    const { usedOnly, matches } = query.selection;
    const body = renderPrometheus(stats, { usedOnly, matches, histograms, textReadouts: query.textReadouts });
    const tail = query.filtered ? undefined : sources.processMetrics;
    return { status: 200, contentType: TEXT, body, ...(tail === undefined ? {} : { tail }) };
  }
  if (mode === 'prometheusnative')
    return textResponse('Invalid histogram_buckets type for non prometheus stats type', 400);
  switch (query.format) {
    case 'json':
      return { status: 200, contentType: JSON_TYPE, body: renderStatsJson(stats, query.selection, mode) };
    case 'html':
      return statsHtml(request, renderStatsText(stats, query.selection, mode));
    default:
      return textResponse(renderStatsText(stats, query.selection, mode));
  }
}

function parse({ query }: AdminRequest, forced: 'prometheus' | undefined): StatsQuery | string {
  const usedOnly = query.has('usedonly');
  const filter = query.get('filter') ?? '';
  let matches: StatSelection['matches'];
  if (filter !== '') {
    let regex: RE2JS;
    try {
      regex = compileRe2(filter);
    } catch (error) {
      return `Invalid re2 regex: ${re2Error(error)}`;
    }
    const wanted = !query.has('invert_filter');
    matches = (name) => regex.test(name) === wanted;
  }
  const histograms = parseHistograms(query.get('histogram_buckets') ?? '');
  if (histograms === false)
    return 'usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary|prometheusnative)\n';
  const type = query.get('type') ?? '';
  const kind = type === '' ? 'all' : Object.hasOwn(KINDS, type) ? KINDS[type] : undefined;
  if (kind === undefined) return 'invalid &type= param';
  const format = forced ?? parseFormat(query.get('format') ?? 'text');
  if (format === undefined) return 'usage: /stats?format=(html|active-html|json|prometheus|text)\n\n';
  return {
    format,
    selection: { usedOnly, kind, matches },
    histograms,
    textReadouts: query.has('text_readouts'),
    filtered: filter !== '',
  };
}

/** False = not a mode. */
function parseHistograms(value: string): StatsQuery['histograms'] | false {
  switch (value) {
    case '':
      return undefined;
    case 'none':
      return 'summary';
    case 'cumulative':
    case 'disjoint':
    case 'detailed':
    case 'summary':
    case 'prometheusnative':
      return value;
    default:
      return false;
  }
}

function parseFormat(value: string): StatsQuery['format'] | undefined {
  switch (value) {
    case 'active-html':
    case 'html':
      return 'html';
    case '':
    case 'text':
      return 'text';
    case 'json':
    case 'prometheus':
      return value;
    default:
      return undefined;
  }
}

/** RE2's own words for what is wrong with a regex, without the library's preamble. */
export function re2Error(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^error parsing regexp: /, '').replaceAll('`', '');
}
