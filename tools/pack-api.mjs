// Packs generated modules that nearly every start needs into one: a module costs half a millisecond to find and load,
// and the bootstrap's messages alone are a hundred of them. Each packed module stays where it was as a re-export.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const IMPORT = /^import \{ ([^}]*) \} from "([^"]+)";\n/gm;
const CORE = 'core.js';

/**
 * protobuf-es hydrates a file's descriptor with a registry of all that the file imports, and walks the imports of
 * imports once for each way to them. Only what a file imports itself can be named in it (Envoy's API has no public
 * imports), so the imports of imports are hidden for that time.
 */
const FILE_DESC = `import { fileDesc as hydrate } from "@bufbuild/protobuf/codegenv2";

export function fileDesc(b64, imports = []) {
  const hidden = imports.map((file) => file.dependencies);
  for (const file of imports) file.dependencies = [];
  try {
    return hydrate(b64, imports);
  } finally {
    for (const [index, file] of imports.entries()) file.dependencies = hidden[index];
  }
}
`;

/** Packs the import closure of the modules `entries` (paths below `dir`), and gives all modules the leaner fileDesc. */
export function packApi(dir, entries) {
  writeFileSync(join(dir, 'file-desc.js'), FILE_DESC);
  for (const file of readdirSync(dir, { recursive: true }).filter((name) => name.endsWith('_pb.js')))
    useOwnFileDesc(dir, file);

  const order = [];
  const visit = (file) => {
    if (order.includes(file)) return;
    for (const [, , target] of readFileSync(join(dir, file), 'utf8').matchAll(IMPORT))
      if (target.startsWith('.') && target.endsWith('_pb.js')) visit(join(dirname(file), target));
    order.push(file);
  };
  for (const entry of entries) visit(entry);

  const packages = new Map();
  const bodies = order.map((file, index) => {
    const text = readFileSync(join(dir, file), 'utf8');
    const names = Array.from(text.matchAll(/^export const (\w+)/gm), ([, name]) => name);
    const imports = Array.from(text.matchAll(IMPORT), ([, imported, target]) => {
      const inside = order.indexOf(join(dirname(file), target));
      if (inside !== -1) return `const { ${imported} } = m${inside};`;
      const source = target.startsWith('.') ? `./${join(dirname(file), target)}` : target;
      if (!packages.has(source)) packages.set(source, `p${packages.size}`);
      return `const { ${imported} } = ${packages.get(source)};`;
    });
    const code = text
      .replaceAll(IMPORT, '')
      .replaceAll(/^\/\/.*\n|^\/\*[^]*?\*\/\n/gm, '')
      .replaceAll(/^export const /gm, 'const ')
      .replaceAll(/\n{2,}/g, '\n');
    const from = `./${relative(dirname(file), CORE)}`.replace('./..', '..');
    writeFileSync(
      join(dir, file),
      `import { m${index} } from "${from}";\nexport const { ${names.join(', ')} } = m${index};\n`,
    );
    return `export const m${index} = (() => {\n${imports.join('\n')}${code}return { ${names.join(', ')} };\n})();\n`;
  });
  const head = Array.from(packages, ([source, name]) => `import * as ${name} from "${source}";\n`);
  writeFileSync(join(dir, CORE), `/* eslint-disable */\n${head.join('')}${bodies.join('')}`);
  return order.length;
}

function useOwnFileDesc(dir, file) {
  const text = readFileSync(join(dir, file), 'utf8');
  const own = `import { fileDesc } from "${`./${relative(dirname(file), 'file-desc.js')}`.replace('./..', '..')}";\n`;
  writeFileSync(
    join(dir, file),
    text.replace(/^import \{ ([^}]*) \} from "@bufbuild\/protobuf\/codegenv2";\n/m, (_, imported) => {
      const others = imported.split(', ').filter((name) => name !== 'fileDesc');
      return (others.length > 0 ? `import { ${others.join(', ')} } from "@bufbuild/protobuf/codegenv2";\n` : '') + own;
    }),
  );
}
