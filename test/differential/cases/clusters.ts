import type { ListenerParts } from '../config.ts';
import type { Case } from '../harness.ts';

const dropping = (percent: number) => ({
  load_assignment: {
    cluster_name: 'dropping',
    policy: { drop_overloads: [{ category: 'test', drop_percentage: { numerator: percent } }] },
    endpoints: [],
  },
});

/** What a request gets of a cluster itself, before any host of it. */
export const clusters = {
  'dropping-all': dropping(100),
  // As good as all, by the other way.
  'dropping-most': {
    load_assignment: {
      ...dropping(0).load_assignment,
      policy: {
        drop_overloads: [
          { category: 'test', drop_percentage: { numerator: 999_999, denominator: 'MILLION' as const } },
        ],
      },
    },
  },
  'dropping-none': dropping(0),
};

const to = (cluster: string) => [{ match: { prefix: '/' }, route: { cluster } }];

export const listeners: Readonly<Record<string, ListenerParts>> = {
  all: { routes: to('dropping-all') },
  most: { routes: to('dropping-most') },
  none: { routes: to('dropping-none') },
};

const get = (listener: string): Case => ({
  name: `a request to a cluster that refuses ${listener}`,
  listener,
  send: 'GET / HTTP/1.1\nHost: a.example\n\n',
  responses: 1,
});

export const cases: readonly Case[] = [get('all'), get('most'), get('none')];
