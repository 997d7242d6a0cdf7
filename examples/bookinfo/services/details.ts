import { sendJson, type Route } from './http.ts';

/** details: what is printed in a book. */
export function detailsRoutes(): readonly Route[] {
  return [
    {
      method: 'GET',
      pattern: /^\/health$/,
      handle: ({ response }) => sendJson(response, 200, { status: 'Details is healthy' }),
    },
    {
      method: 'GET',
      pattern: /^\/details\/(?<id>[^/]*)$/,
      handle({ response, params }) {
        if (!/^\d+$/.test(params['id']!))
          return sendJson(response, 400, { error: 'please provide numeric product id' });
        sendJson(response, 200, {
          id: Number(params['id']),
          author: 'William Shakespeare',
          year: 1595,
          type: 'paperback',
          pages: 200,
          publisher: 'PublisherA',
          language: 'English',
          'ISBN-10': '1234567890',
          'ISBN-13': '123-1234567890',
        });
      },
    },
  ];
}
