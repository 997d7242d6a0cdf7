import { expect, test } from 'vitest';
import type { SecretModel } from '../../../src/config/secret-model.ts';
import { SecretSet } from '../../../src/proxy/transport-socket/secret-set.ts';
import { TlsCounters } from '../../../src/proxy/transport-socket/tls-counters.ts';
import { ThreadStats } from '../../../src/telemetry/stats/arena.ts';
import { TLS_SOCKET_FACTORY_STATS } from '../../../src/telemetry/stats/tls-stats.ts';

const secret = (name: string): SecretModel => ({
  kind: 'generic',
  name,
  value: { secret: Buffer.from(name), secrets: {} },
});

// With Envoy 1.40 a context with two secrets from SDS starts at 2, and each rotation adds 1, however many workers there are.
test.each([
  [0, 2],
  [1, 0],
  [-1, 0],
])('secrets from discovery that are there count once each, on the first worker: %i', (index, count) => {
  const counters = new TlsCounters(new ThreadStats(), 'server');
  const secrets = new SecretSet();
  secrets.apply({
    set: ['sds:certificate:a', 'sds:validation:b', 'static:certificate:c', 'file:d'].map(secret),
    remove: [],
  });
  const names = ['sds:certificate:a', 'sds:validation:b', 'static:certificate:c', 'file:d', 'sds:certificate:late'];
  counters.countSecretUpdates(names, { index, secrets });
  expect(counters.factory.get(TLS_SOCKET_FACTORY_STATS.at.ssl_context_update_by_sds)).toBe(count);
});
