import { jsonResponse, textResponse, type AdminPage } from '../page.ts';

/** Pages about the process as a whole that change nothing. */

const readPage = (path: string, help: string, handle: AdminPage['handle']): AdminPage => ({
  path,
  help,
  mutates: false,
  params: [],
  handle,
});

export const readyPage = readPage(
  '/ready',
  'print server state, return 200 if LIVE, otherwise return 503',
  (_, { server }) => {
    const state = server.state();
    return textResponse(`${state}\n`, state === 'LIVE' ? 200 : 503);
  },
);

export const serverInfoPage = readPage('/server_info', 'print server version/status information', (_, { server }) => {
  const uptime = `${Math.floor(server.uptimeMs() / 1000)}s`;
  return jsonResponse({
    version: server.version,
    state: server.state(),
    uptime_current_epoch: uptime,
    uptime_all_epochs: uptime,
    hot_restart_version: 'disabled',
    command_line_options: server.commandLineOptions(),
    node: server.node(),
  });
});

/** The numbers of the JavaScript heap under Envoy's names; there is no page heap. */
export const memoryPage = readPage('/memory', 'print current allocation/heap usage', () => {
  const { heapUsed, heapTotal, external, rss } = process.memoryUsage();
  return jsonResponse({
    allocated: String(heapUsed + external),
    heap_size: String(heapTotal + external),
    pageheap_unmapped: '0',
    pageheap_free: String(heapTotal - heapUsed),
    total_thread_cache: '0',
    total_physical_bytes: String(rss),
  });
});

export const hotRestartVersionPage = readPage(
  '/hot_restart_version',
  'print the hot restart compatibility version',
  () => textResponse('disabled'),
);

export const contentionPage = readPage('/contention', 'dump current mutex contention stats (if enabled)', () =>
  textResponse('Mutex contention tracing is not enabled. There are no mutexes to trace.'),
);

export const initDumpPage: AdminPage = {
  path: '/init_dump',
  help: 'dump current init manager information (experimental)',
  mutates: false,
  params: [
    {
      name: 'mask',
      help: 'The desired component to dump unready targets. For example, get the unready targets of all listeners with /init_dump?mask=listener',
      kind: 'text',
    },
  ],
  handle({ query }, { server }) {
    const mask = query.get('mask') ?? '';
    const dumps = server
      .unreadyTargets()
      .filter(({ name }) => mask === '' || name.startsWith(mask))
      .map(({ name, targets }) => ({ name, target_names: targets }));
    return jsonResponse(dumps.length === 0 ? {} : { unready_targets_dumps: dumps });
  },
};

/** Envoy can list the names that were looked up in its symbol table; here every name is resolved when it is configured. */
export const recentLookupsPage = readPage('/stats/recentlookups', 'Show recent stat-name lookups', () =>
  textResponse('Lookup tracking is not enabled. Use /stats/recentlookups/enable to enable.\n\ntotal: 0\n'),
);
