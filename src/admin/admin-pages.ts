import type { AdminPage } from './page.ts';
import { certsPage } from './pages/certs.ts';
import { clustersPage } from './pages/clusters.ts';
import { configDumpPage } from './pages/config-dump.ts';
import { homePages } from './pages/home.ts';
import {
  drainListenersPage,
  healthCheckFailPage,
  healthCheckOkPage,
  profilerPages,
  quitPage,
  recentLookupsCommandPages,
  reopenLogsPage,
  resetCountersPage,
} from './pages/lifecycle.ts';
import { listenersPage } from './pages/listeners.ts';
import { loggingPage } from './pages/logging.ts';
import { runtimeModifyPage, runtimePage } from './pages/runtime.ts';
import {
  contentionPage,
  hotRestartVersionPage,
  initDumpPage,
  memoryPage,
  readyPage,
  recentLookupsPage,
  serverInfoPage,
} from './pages/server.ts';
import { prometheusPage, statsPage } from './pages/stats.ts';

/** Every page of the admin server, ordered by path. `more` are pages that the server adds. */
export function adminPages(more: readonly AdminPage[] = []): AdminPage[] {
  return homePages([
    certsPage,
    clustersPage,
    configDumpPage,
    contentionPage,
    drainListenersPage,
    healthCheckFailPage,
    healthCheckOkPage,
    hotRestartVersionPage,
    initDumpPage,
    listenersPage,
    loggingPage,
    memoryPage,
    prometheusPage,
    quitPage,
    readyPage,
    recentLookupsPage,
    reopenLogsPage,
    resetCountersPage,
    runtimeModifyPage,
    runtimePage,
    serverInfoPage,
    statsPage,
    ...profilerPages,
    ...recentLookupsCommandPages,
    ...more,
  ]);
}
