import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { createMeshAuthority } from '../../examples/bookinfo/mesh-authority.ts';
import { detailsRoutes } from '../../examples/bookinfo/services/details.ts';
import { serve, type Route } from '../../examples/bookinfo/services/http.ts';
import { productpageRoutes } from '../../examples/bookinfo/services/productpage.ts';
import { ratingsRoutes } from '../../examples/bookinfo/services/ratings.ts';
import { reviewsRoutes } from '../../examples/bookinfo/services/reviews.ts';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  }
});
const run = async (routes: readonly Route[]): Promise<string> => {
  const server = await serve(0, routes);
  servers.push(server);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};
const NOWHERE = 'http://127.0.0.1:1';
const json = async (url: string, init?: RequestInit): Promise<[number, unknown]> => {
  const response = await fetch(url, init);
  return [response.status, await response.json()];
};

describe('services', () => {
  test('details and ratings', async () => {
    const details = await run(detailsRoutes());
    expect(await json(`${details}/details/0`)).toEqual([
      200,
      expect.objectContaining({ id: 0, author: 'William Shakespeare', 'ISBN-10': '1234567890' }),
    ]);
    expect((await json(`${details}/details/zero`))[0]).toBe(400);
    expect(await json(`${details}/health`)).toEqual([200, { status: 'Details is healthy' }]);
    expect((await json(`${details}/elsewhere`))[0]).toBe(404);
    const ratings = await run(ratingsRoutes());
    expect(await json(`${ratings}/ratings/0`)).toEqual([200, { id: 0, ratings: { Reviewer1: 5, Reviewer2: 4 } }]);
    const body = JSON.stringify({ Reviewer1: 1 });
    expect((await json(`${ratings}/ratings/0`, { method: 'POST', body }))[0]).toBe(200);
    expect(await json(`${ratings}/ratings/0`)).toEqual([200, { id: 0, ratings: { Reviewer1: 1 } }]);
    expect((await json(`${ratings}/ratings/0`, { method: 'POST', body: '{' }))[0]).toBe(400);
  });

  test.each([
    ['v1', [undefined, undefined]],
    [
      'v2',
      [
        { stars: 5, color: 'black' },
        { stars: 4, color: 'black' },
      ],
    ],
    [
      'v3',
      [
        { stars: 5, color: 'red' },
        { stars: 4, color: 'red' },
      ],
    ],
  ] as const)('reviews %s', async (version, expected) => {
    const reviews = await run(reviewsRoutes(version, await run(ratingsRoutes())));
    const [status, body] = await json(`${reviews}/reviews/0`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ id: '0', podname: `reviews-${version}` });
    expect((body as { reviews: { rating?: unknown }[] }).reviews.map(({ rating }) => rating)).toEqual(expected);
  });

  test('reviews without ratings', async () => {
    const reviews = await run(reviewsRoutes('v3', NOWHERE));
    const [, body] = await json(`${reviews}/reviews/0`);
    expect((body as { reviews: { rating?: unknown }[] }).reviews[0]!.rating).toEqual({
      error: 'Ratings service is currently unavailable',
    });
  });
});

describe('productpage', () => {
  const page = async (url: string, headers: Record<string, string> = {}): Promise<string> =>
    (await fetch(`${url}/productpage`, { headers })).text();

  test('is made of what the others answer', async () => {
    const ratings = await run(ratingsRoutes());
    const reviews = await run(reviewsRoutes('v3', ratings));
    const url = await run(productpageRoutes({ details: await run(detailsRoutes()), reviews, ratings }));
    const html = await page(url);
    expect(html).toContain('<title>Simple Bookstore App</title>');
    expect(html).toContain('The Comedy of Errors');
    expect(html).toContain('paperback');
    expect(html.match(/class="stars red"/g)).toHaveLength(2);
    expect(html).toContain('Reviews served by: <b>reviews-v3</b>');
    expect(await json(`${url}/api/v1/products`)).toMatchObject([200, [{ id: 0, title: 'The Comedy of Errors' }]]);
    expect(await json(`${url}/api/v1/products/0`)).toMatchObject([200, { type: 'paperback' }]);
    expect(await json(`${url}/api/v1/products/0/reviews`)).toMatchObject([200, { podname: 'reviews-v3' }]);
    expect(await json(`${url}/api/v1/products/0/ratings`)).toMatchObject([200, { ratings: { Reviewer1: 5 } }]);
  });

  test('says what is missing', async () => {
    const url = await run(productpageRoutes({ details: NOWHERE, reviews: NOWHERE, ratings: NOWHERE }));
    const html = await page(url);
    expect(html).toContain('Sorry, product details are currently unavailable for this book.');
    expect(html).toContain('Sorry, product reviews are currently unavailable for this book.');
    const error = 'Sorry, product ratings are currently unavailable for this book.';
    expect(await json(`${url}/api/v1/products/0/ratings`)).toEqual([500, { error }]);
  });

  test('tells the others who is signed in, and passes on what joins a trace', async () => {
    const seen: Record<string, unknown>[] = [];
    const recorder: Route = {
      method: 'GET',
      pattern: /./,
      handle({ request, response }) {
        seen.push(request.headers);
        response.end('{}');
      },
    };
    const other = await run([recorder]);
    const url = await run(productpageRoutes({ details: other, reviews: other, ratings: other }));
    const login = async (username: string): Promise<string | null> => {
      const body = new URLSearchParams({ username, passwd: '' });
      const response = await fetch(`${url}/login`, { method: 'POST', body, redirect: 'manual' });
      expect([response.status, response.headers.get('location')]).toEqual([302, '/productpage']);
      return response.headers.get('set-cookie');
    };
    const cookie = (await login('jason'))!.split(';')[0]!;
    const trace = { traceparent: '00-1-2-01', 'x-request-id': 'r', b3: 'x' };
    expect(await page(url, { cookie, ...trace })).toContain('jason');
    expect(seen[0]).toMatchObject({ 'end-user': 'jason', ...trace });
    seen.length = 0;
    // A cookie that somebody made himself.
    await page(url, { cookie: `${cookie}x` });
    await page(url, { cookie: cookie.replace(/\..*/, '.AAAA') });
    expect(seen.map((headers) => headers['end-user'])).toEqual([undefined, undefined, undefined, undefined]);
    expect(await login('a\nb')).toBeNull();
    expect((await fetch(`${url}/logout`, { redirect: 'manual' })).headers.get('set-cookie')).toContain('Max-Age=0');
  });

  test('shows what users type as text', async () => {
    const url = await run(productpageRoutes({ details: NOWHERE, reviews: NOWHERE, ratings: NOWHERE }));
    const body = new URLSearchParams({ username: '<b>"x"', passwd: '' });
    const response = await fetch(`${url}/login`, { method: 'POST', body, redirect: 'manual' });
    const html = await page(url, { cookie: response.headers.get('set-cookie')!.split(';')[0]! });
    expect(html).not.toContain('<b>"x"');
    expect(html).toContain('&#60;b&#62;&#34;x&#34;');
  });
});

test('the mesh has an authority, and every proxy a certificate with its SPIFFE id', () => {
  const authority = createMeshAuthority('bookinfo');
  const root = new X509Certificate(authority.root);
  const { certificate, key } = authority.issue('spiffe://bookinfo/sa/reviews');
  const leaf = new X509Certificate(certificate);
  expect(root.ca).toBe(true);
  expect(root.verify(root.publicKey)).toBe(true);
  expect(leaf.ca).toBe(false);
  expect(leaf.verify(root.publicKey)).toBe(true);
  expect(leaf.checkIssued(root)).toBe(true);
  expect(leaf.subjectAltName).toBe('URI:spiffe://bookinfo/sa/reviews');
  expect(leaf.toLegacyObject().ext_key_usage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  expect(key).toContain('PRIVATE KEY');
});
