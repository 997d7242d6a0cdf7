import { randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { call, sendHtml, sendJson, type Answer, type Exchange, type Route } from './http.ts';
import { indexPage, productPage, type Details, type Part, type Product, type Reviews } from './page.ts';
import { Sessions } from './session.ts';

/** Where the sidecar listens for each service that this one calls. */
export interface Backends {
  readonly details: string;
  readonly reviews: string;
  readonly ratings: string;
}

const PRODUCTS: readonly Product[] = [
  {
    id: 0,
    title: 'The Comedy of Errors',
    descriptionHtml:
      'A merchant comes to Ephesus in search of his family. So do his son and that son’s servant, and each of the two has a twin in ' +
      'town. Within a day the wrong man is locked out, arrested and sworn to be mad, until all of them stand in one place for the ' +
      'first time. One of Shakespeare’s first plays, and his shortest.',
  },
];
const TIMEOUT_MS = 3000;
/** One more try than the reader would like to wait for: six seconds in all. */
const REVIEWS_ATTEMPTS = 2;

/** productpage: the page, and the same as JSON; made of what details and reviews answer. */
export function productpageRoutes({ details, reviews, ratings }: Backends): readonly Route[] {
  const sessions = new Sessions(randomBytes(32));
  const headersFor = ({ request, headers }: Exchange, service: string): Record<string, string> => {
    const user = sessions.userOf(request);
    return { ...headers, host: `${service}:9080`, ...(user !== undefined && { 'end-user': user }) };
  };
  const getDetails = async (exchange: Exchange, id: string): Promise<Part<Details>> =>
    partOf(await call(`${details}/details/${id}`, headersFor(exchange, 'details'), TIMEOUT_MS), 'details');
  const getReviews = async (exchange: Exchange, id: string): Promise<Part<Reviews>> => {
    let answer: Answer = { status: 0, body: '' };
    for (let i = 0; i < REVIEWS_ATTEMPTS && answer.status !== 200; i++)
      answer = await call(`${reviews}/reviews/${id}`, headersFor(exchange, 'reviews'), TIMEOUT_MS);
    return partOf(answer, 'reviews');
  };
  const getRatings = async (exchange: Exchange, id: string): Promise<Part<unknown>> =>
    partOf(await call(`${ratings}/ratings/${id}`, headersFor(exchange, 'ratings'), TIMEOUT_MS), 'ratings');

  const json =
    (get: (exchange: Exchange, id: string) => Promise<Part<unknown>>) =>
    async (exchange: Exchange): Promise<void> => {
      const { status, value, error } = await get(exchange, exchange.params['id']!);
      sendJson(exchange.response, status, value ?? { error });
    };
  return [
    {
      method: 'GET',
      pattern: /^\/(index\.html)?$/,
      handle: ({ response }) => sendHtml(response, 200, indexPage()),
    },
    {
      method: 'GET',
      pattern: /^\/health$/,
      handle: ({ response }) => {
        response.writeHead(200, { 'content-type': 'text/plain' }).end('Product page is healthy');
      },
    },
    {
      method: 'GET',
      pattern: /^\/productpage$/,
      async handle(exchange) {
        const product = PRODUCTS[0]!;
        const id = String(product.id);
        const [detailsPart, reviewsPart] = await Promise.all([getDetails(exchange, id), getReviews(exchange, id)]);
        const user = sessions.userOf(exchange.request);
        sendHtml(exchange.response, 200, productPage(product, detailsPart, reviewsPart, user));
      },
    },
    {
      method: 'POST',
      pattern: /^\/login$/,
      async handle({ request, response }) {
        const user = new URLSearchParams(await text(request)).get('username')?.trim() ?? '';
        // What ends up in a header has to be printable.
        const valid = /^[\x21-\x7e]{1,64}$/.test(user);
        response
          .writeHead(302, { location: '/productpage', ...(valid && { 'set-cookie': sessions.login(user) }) })
          .end();
      },
    },
    {
      method: 'GET',
      pattern: /^\/logout$/,
      handle({ response }) {
        response.writeHead(302, { location: '/productpage', 'set-cookie': sessions.logout() }).end();
      },
    },
    { method: 'GET', pattern: /^\/api\/v1\/products$/, handle: ({ response }) => sendJson(response, 200, PRODUCTS) },
    { method: 'GET', pattern: /^\/api\/v1\/products\/(?<id>\d+)$/, handle: json(getDetails) },
    { method: 'GET', pattern: /^\/api\/v1\/products\/(?<id>\d+)\/reviews$/, handle: json(getReviews) },
    { method: 'GET', pattern: /^\/api\/v1\/products\/(?<id>\d+)\/ratings$/, handle: json(getRatings) },
  ];
}

/** Whatever isn't a 200 with JSON in it is one sentence for the reader. */
function partOf<T>({ status, body }: Answer, what: string): Part<T> {
  const error = `Sorry, product ${what} are currently unavailable for this book.`;
  if (status !== 200) return { status: status === 0 ? 500 : status, value: undefined, error };
  try {
    return { status, value: JSON.parse(body) as T, error: undefined };
  } catch {
    return { status: 500, value: undefined, error };
  }
}
