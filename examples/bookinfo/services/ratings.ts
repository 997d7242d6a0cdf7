import { text } from 'node:stream/consumers';
import { sendJson, type Route } from './http.ts';

const NUMERIC = 'please provide numeric product ID';

/** ratings: how many stars each reviewer gave. POST /ratings/ID replaces them, until the service ends. */
export function ratingsRoutes(): readonly Route[] {
  const posted = new Map<string, unknown>();
  const pattern = /^\/ratings\/(?<id>[^/]*)$/;
  return [
    {
      method: 'GET',
      pattern: /^\/health$/,
      handle: ({ response }) => sendJson(response, 200, { status: 'Ratings is healthy' }),
    },
    {
      method: 'GET',
      pattern,
      handle({ response, params }) {
        const id = params['id']!;
        if (!/^\d+$/.test(id)) return sendJson(response, 400, { error: NUMERIC });
        sendJson(response, 200, { id: Number(id), ratings: posted.get(id) ?? { Reviewer1: 5, Reviewer2: 4 } });
      },
    },
    {
      method: 'POST',
      pattern,
      async handle({ request, response, params }) {
        const id = params['id']!;
        if (!/^\d+$/.test(id)) return sendJson(response, 400, { error: NUMERIC });
        let ratings: unknown;
        try {
          ratings = JSON.parse(await text(request));
        } catch {
          return sendJson(response, 400, { error: 'please provide valid ratings JSON' });
        }
        posted.set(id, ratings);
        sendJson(response, 200, { id: Number(id), ratings });
      },
    },
  ];
}
