export interface Product {
  readonly id: number;
  readonly title: string;
  readonly descriptionHtml: string;
}

export type Details = Readonly<Record<string, string | number>>;

export interface Reviews {
  readonly podname?: string;
  readonly reviews: readonly {
    readonly reviewer: string;
    readonly text: string;
    readonly rating?: { readonly stars?: number; readonly color?: string; readonly error?: string };
  }[];
}

/** A part of the page: what a service answered, or why it is missing. */
export interface Part<T> {
  readonly status: number;
  readonly value: T | undefined;
  readonly error: string | undefined;
}

const escape = (text: unknown): string =>
  String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const LABELS: readonly (readonly [key: string, label: string])[] = [
  ['type', 'Type'],
  ['pages', 'Pages'],
  ['publisher', 'Publisher'],
  ['language', 'Language'],
  ['year', 'Year'],
  ['author', 'Author'],
  ['ISBN-10', 'ISBN-10'],
  ['ISBN-13', 'ISBN-13'],
];

const STYLE = `
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5b6676; --paper: #f5f3ee; --card: #fff; --line: #e2ddd2; --sea: #0f5c6e;
  --star: #1d2430; --bad: #a32020; --bad-paper: #fdeeee; --bad-line: #efc4c4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e1; --soft: #a3abb7; --paper: #15191f; --card: #1d232b; --line: #323a45;
  --sea: #6cc3d5; --star: #e8e6e1; --bad: #ff9c9c; --bad-paper: #35201f; --bad-line: #6b3836; } }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
header { background: var(--card); border-bottom: 1px solid var(--line); }
header > div, main { max-width: 62rem; margin: auto; padding: 1rem 1.5rem; display: flex; gap: 1rem; align-items: center; }
header a { color: var(--ink); font-weight: 650; text-decoration: none; margin-right: auto; }
main { display: block; padding-top: 2.2rem; }
h1 { font: 600 2.3rem/1.15 Georgia, serif; margin: 0 0 .8rem; }
h2 { font-size: .8rem; letter-spacing: .09em; text-transform: uppercase; color: var(--soft); margin: 0 0 1rem; }
.lead { max-width: 46rem; font-size: 1.08rem; margin: 0 0 2.2rem; }
.columns { display: grid; gap: 1.5rem; grid-template-columns: 19rem 1fr; align-items: start; }
@media (max-width: 46rem) { .columns { grid-template-columns: 1fr; } }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .8rem; padding: 1.4rem 1.5rem; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .45rem 1.2rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
blockquote { margin: 0; padding: 0 0 1.2rem; }
blockquote + blockquote { padding: 1.2rem 0; border-top: 1px solid var(--line); }
blockquote p { margin: 0 0 .5rem; font: 1.12rem/1.5 Georgia, serif; }
blockquote footer { display: flex; gap: .9rem; align-items: center; color: var(--soft); font-size: .92rem; }
.stars { letter-spacing: .12em; font-size: 1.15rem; }
.stars.black { color: var(--star); }
.stars.red { color: #d5232f; }
.served { color: var(--soft); font-size: .85rem; margin: 0; padding-top: 1rem; border-top: 1px solid var(--line); }
.error { color: var(--bad); background: var(--bad-paper); border: 1px solid var(--bad-line); border-radius: .5rem; padding: .6rem .9rem; margin: 0; }
.error strong { display: block; }
blockquote .error { padding: .2rem .7rem; font-size: .88rem; }
input, button, .button { font: inherit; padding: .4rem .8rem; border-radius: .5rem; border: 1px solid var(--line); background: var(--paper); color: var(--ink); }
button, .button { background: var(--sea); border-color: var(--sea); color: var(--card); cursor: pointer; text-decoration: none; font-weight: 600; }
form { display: flex; gap: .5rem; flex-wrap: wrap; }
input { width: 9rem; }
`;

const shell = (title: string, header: string, main: string): string => `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<header><div><a href="/productpage">Bookinfo</a>${header}</div></header>
<main>
${main}
</main>
</body>
</html>
`;

export function indexPage(): string {
  return shell(
    'Simple Bookstore App',
    '',
    `<h1>A bookstore in a mesh</h1>
<p class="lead">Four services, one of them in three versions, and a proxy beside each. What the page shows depends on the rules of the mesh.</p>
<p><a class="button" href="/productpage">To the book</a></p>`,
  );
}

/** `user`: who is logged in. */
export function productPage(
  product: Product,
  details: Part<Details>,
  reviews: Part<Reviews>,
  user: string | undefined,
): string {
  const session =
    user === undefined
      ? `<form method="post" action="/login"><input name="username" placeholder="User name" aria-label="User name" required>
<input name="passwd" type="password" placeholder="Password" aria-label="Password"><button type="submit">Sign in</button></form>`
      : `<span>${escape(user)}</span><a class="button" href="/logout">Sign out</a>`;
  return shell(
    'Simple Bookstore App',
    session,
    `<h1>${escape(product.title)}</h1>
<p class="lead">${product.descriptionHtml}</p>
<div class="columns">
<section class="card" id="details"><h2>Book Details</h2>
${details.value === undefined ? errorBox('Error fetching product details!', details.error) : detailsList(details.value)}
</section>
<section class="card" id="reviews"><h2>Book Reviews</h2>
${reviews.value === undefined ? errorBox('Error fetching product reviews!', reviews.error) : reviewsList(reviews.value)}
</section>
</div>`,
  );
}

function errorBox(title: string, text: string | undefined): string {
  return `<p class="error"><strong>${escape(title)}</strong>${escape(text)}</p>`;
}

function detailsList(details: Details): string {
  const rows = LABELS.filter(([key]) => details[key] !== undefined);
  return `<dl>${rows.map(([key, label]) => `<dt>${label}</dt><dd>${escape(details[key])}</dd>`).join('')}</dl>`;
}

function reviewsList({ podname, reviews = [] }: Partial<Reviews>): string {
  const items = reviews.map(
    ({ reviewer, text, rating }) =>
      `<blockquote><p>${escape(text)}</p><footer><span>${escape(reviewer)}</span>${ratingOf(rating)}</footer></blockquote>`,
  );
  const served = podname === undefined ? '' : `<p class="served">Reviews served by: <b>${escape(podname)}</b></p>`;
  return `${items.join('\n')}\n${served}`;
}

function ratingOf(rating: Reviews['reviews'][number]['rating']): string {
  if (rating === undefined) return '';
  const { stars, color, error } = rating;
  if (stars === undefined) return `<span class="error">${escape(error)}</span>`;
  const count = Math.min(5, Math.max(0, Math.round(stars)));
  const text = '★'.repeat(count) + '☆'.repeat(5 - count);
  return `<span class="stars ${color === 'red' ? 'red' : 'black'}" role="img" aria-label="${count} of 5 stars">${text}</span>`;
}
