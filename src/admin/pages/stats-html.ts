import { HTML, type AdminRequest, type AdminResponse } from '../page.ts';
import { escapeHtml, pageHead } from './html.ts';

/** /stats?format=html: the text, with a form to narrow it down. */
export function statsHtml(request: AdminRequest, text: Iterable<string>): AdminResponse {
  return { status: 200, contentType: HTML, body: pieces(request, text) };
}

function* pieces({ query }: AdminRequest, text: Iterable<string>): Generator<string, void, void> {
  const filter = escapeHtml(query.get('filter') ?? '');
  const used = query.has('usedonly') ? ' checked' : '';
  yield `${pageHead('stats')}<p><a href="./">home</a></p>
<form action="stats" method="get"><input type="hidden" name="format" value="html">
<label>filter <input name="filter" value="${filter}"></label>
<label><input type="checkbox" name="usedonly"${used}> used only</label> <button>show</button></form>
<pre>`;
  for (const piece of text) yield escapeHtml(piece);
  yield '</pre>\n</body>\n</html>\n';
}
