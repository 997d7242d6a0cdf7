/** The pieces that the admin's HTML pages share. */

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

export function pageHead(title: string): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Outrigger admin: ${escapeHtml(title)}</title>
<style>
body { font-family: sans-serif; margin: 1.5em; }
table { border-collapse: collapse; }
td { padding: 4px 12px 4px 4px; vertical-align: top; }
tr.command { border-top: 1px solid #ddd; }
td.option { padding-left: 2em; }
form { display: inline; margin: 0; }
button.link { background: none; border: 0; padding: 0; font: inherit; color: #069; text-decoration: underline; cursor: pointer; }
</style>
</head>
<body>
`;
}
