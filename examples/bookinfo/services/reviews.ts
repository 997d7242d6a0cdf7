import { call, sendJson, type Answer, type Route } from './http.ts';

export type ReviewsVersion = 'v1' | 'v2' | 'v3';

const TEXTS = [
  'Two pairs of twins, one town, and not a soul who knows which of them just walked by. I laughed from the first mix-up to the last.',
  'Lighter than the great comedies that came later, and quicker on its feet than any of them.',
];
/** v1 calls no ratings. */
const COLOURS = { v1: undefined, v2: 'black', v3: 'red' } as const;
/** How patient each version is with the ratings. */
const TIMEOUTS_MS = { black: 10_000, red: 2_500 } as const;

/** reviews: what readers wrote; v2 adds black stars, and v3 red ones, with the help of the ratings service at `ratingsUrl`. */
export function reviewsRoutes(version: ReviewsVersion, ratingsUrl: string): readonly Route[] {
  const color = COLOURS[version];
  return [
    {
      method: 'GET',
      pattern: /^\/health$/,
      handle: ({ response }) => sendJson(response, 200, { status: 'Reviews is healthy' }),
    },
    {
      method: 'GET',
      pattern: /^\/reviews\/(?<id>\d+)$/,
      async handle({ response, params, headers }) {
        const id = params['id']!;
        const stars =
          color &&
          starsIn(await call(`${ratingsUrl}/ratings/${id}`, { ...headers, host: 'ratings:9080' }, TIMEOUTS_MS[color]));
        const reviews = TEXTS.map((text, index) => {
          const reviewer = `Reviewer${index + 1}`;
          if (color === undefined) return { reviewer, text };
          const given = stars?.[reviewer];
          const rating =
            typeof given === 'number' ? { stars: given, color } : { error: 'Ratings service is currently unavailable' };
          return { reviewer, text, rating };
        });
        sendJson(response, 200, { id, podname: `reviews-${version}`, clustername: 'bookinfo', reviews });
      },
    },
  ];
}

function starsIn({ status, body }: Answer): Readonly<Record<string, unknown>> | undefined {
  if (status !== 200) return undefined;
  try {
    return (JSON.parse(body) as { ratings?: Record<string, unknown> }).ratings;
  } catch {
    return undefined;
  }
}
