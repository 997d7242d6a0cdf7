import { HTML, textResponse, type AdminPage, type AdminParam } from '../page.ts';
import { escapeHtml, pageHead } from './html.ts';

/** The texts of /help; also shown for an unknown path. `pages` are ordered by path. */
export function helpText(pages: readonly AdminPage[]): string {
  let text = 'admin commands are:\n';
  for (const { path, help, mutates, params } of pages) {
    text += `  ${path}${mutates ? ' (POST)' : ''}: ${help}\n`;
    for (const { name, help: paramHelp, kind } of params)
      text += `      ${name}: ${paramHelp}${typeof kind === 'string' ? '' : `; One of (${kind.join(', ')})`}\n`;
  }
  return text;
}

/** `/` and /help, for the other pages. */
export function homePages(others: readonly AdminPage[]): AdminPage[] {
  const home: AdminPage = {
    path: '/',
    help: 'Admin home page',
    mutates: false,
    params: [],
    handle: () => ({ status: 200, contentType: HTML, body: homeHtml(all) }),
  };
  const help: AdminPage = {
    path: '/help',
    help: 'print out list of admin commands',
    mutates: false,
    params: [],
    handle: () => textResponse(helpText(all)),
  };
  const all = [...others, home, help].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return all;
}

function homeHtml(pages: readonly AdminPage[]): string {
  let rows = '';
  for (const page of pages) {
    if (page.path === '/') continue;
    const target = page.path.slice(1);
    const id = target.replaceAll('/', '-');
    const plain = !page.mutates && page.params.length === 0;
    const method = page.mutates ? 'post' : 'get';
    const command = plain
      ? `<a href="${target}">${target}</a>`
      : `<form action="${target}" method="${method}" id="${id}"><button class="link">${target}</button></form>`;
    rows += `<tr class="command"><td>${command}</td><td>${escapeHtml(page.help)}</td></tr>\n`;
    for (const param of page.params)
      rows += `<tr><td class="option">${input(param, id)}</td><td>${escapeHtml(param.help)}</td></tr>\n`;
  }
  return `${pageHead('home')}<table>\n${rows}</table>\n</body>\n</html>\n`;
}

function input({ name, kind }: AdminParam, form: string): string {
  if (kind === 'text') return `<label>${name} <input name="${name}" form="${form}"></label>`;
  if (kind === 'flag') return `<label>${name} <input type="checkbox" name="${name}" form="${form}"></label>`;
  const options = kind.map((value) => `<option>${value}</option>`).join('');
  return `<label>${name} <select name="${name}" form="${form}">${options}</select></label>`;
}
