import { textResponse, type AdminPage, type AdminParam } from '../page.ts';

/** Pages that tell the process to do something. */

const OK = 'OK\n';

const commandPage = (
  path: string,
  help: string,
  handle: AdminPage['handle'],
  params: readonly AdminParam[] = [],
): AdminPage => ({ path, help, mutates: true, params, handle });

export const healthCheckFailPage = commandPage(
  '/healthcheck/fail',
  'cause the server to fail health checks',
  (_, { lifecycle }) => {
    lifecycle.failHealthChecks(true);
    return textResponse(OK);
  },
);

export const healthCheckOkPage = commandPage(
  '/healthcheck/ok',
  'cause the server to pass health checks',
  (_, { lifecycle }) => {
    lifecycle.failHealthChecks(false);
    return textResponse(OK);
  },
);

export const drainListenersPage = commandPage(
  '/drain_listeners',
  'drain listeners',
  ({ query }, { lifecycle }) => {
    const problem = lifecycle.drainListeners({
      graceful: query.has('graceful'),
      skipExit: query.has('skip_exit'),
      inboundOnly: query.has('inboundonly'),
    });
    return problem === undefined ? textResponse(OK) : textResponse(`${problem}\n`, 400);
  },
  [
    {
      name: 'graceful',
      help: 'When draining listeners, enter a graceful drain period prior to closing listeners. This behaviour and duration is configurable via server options or CLI',
      kind: 'flag',
    },
    {
      name: 'skip_exit',
      help: 'When draining listeners, drain the connections but never stop the listeners. The graceful parameter has no effect when this is set, since the drain period only delays stopping the listeners',
      kind: 'flag',
    },
    {
      name: 'inboundonly',
      help: 'Drains all inbound listeners. traffic_direction field in envoy_v3_api_msg_config.listener.v3.Listener is used to determine whether a listener is inbound or outbound.',
      kind: 'flag',
    },
  ],
);

export const quitPage = commandPage('/quitquitquit', 'exit the server', (_, { lifecycle }) => ({
  ...textResponse(OK),
  after: () => lifecycle.quit(),
}));

export const resetCountersPage = commandPage('/reset_counters', 'reset all counters to zero', (_, { stats }) => {
  stats.resetCounters();
  return textResponse(OK);
});

export const reopenLogsPage = commandPage('/reopen_logs', 'reopen access logs', (_, { logging }) => {
  logging.reopenLogs();
  return textResponse(OK);
});

/** Profilers that are not built in answer as Envoy's do in such a build. */
const profilerPage = (path: string, what: string, unsupported: string): AdminPage =>
  commandPage(
    path,
    `enable/disable the ${what} profiler${path === '/cpuprofiler' ? '' : ' (if supported)'}`,
    ({ query }) =>
      ['y', 'n'].includes(query.get('enable') ?? '')
        ? textResponse(unsupported, path === '/cpuprofiler' ? 500 : 501)
        : textResponse('?enable=<y|n>\n', 400),
    [{ name: 'enable', help: `enable/disable the ${what} profiler`, kind: ['y', 'n'] }],
  );

export const profilerPages: readonly AdminPage[] = [
  profilerPage('/cpuprofiler', 'CPU', 'failure to start the profiler'),
  profilerPage('/heapprofiler', 'heap', 'The current build does not support heap profiler'),
];

export const recentLookupsCommandPages: readonly AdminPage[] = [
  commandPage('/stats/recentlookups/clear', 'clear list of stat-name lookups and counter', () => textResponse(OK)),
  commandPage('/stats/recentlookups/disable', 'disable recording of reset stat-name lookup names', () =>
    textResponse(OK),
  ),
  commandPage('/stats/recentlookups/enable', 'enable recording of reset stat-name lookup names', () =>
    textResponse(OK),
  ),
];
