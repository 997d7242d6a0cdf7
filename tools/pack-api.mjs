// Packs generated modules that nearly every start needs into one: a module costs half a millisecond to find and load,
// and the bootstrap's messages alone are a hundred of them. Each packed module stays where it was as a re-export.
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const IMPORT = /^import \{ ([^}]*) \} from "([^"]+)";\n/gm;
const CORE = 'core.js';

/** Packs the import closure of the modules `entries` (paths below `dir`), and gives all modules file-desc.js. */
export function packApi(dir, entries) {
  cpSync(join(import.meta.dirname, 'file-desc.js'), join(dir, 'file-desc.js'));
  for (const file of readdirSync(dir, { recursive: true }).filter((name) => name.endsWith('_pb.js'))) {
    useOwnFileDesc(dir, file);
    writeOutEnums(dir, file);
  }

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

/** An enum as an object, which is otherwise made from its descriptor. */
function writeOutEnums(dir, file) {
  const types = readFileSync(join(dir, file.replace(/\.js$/, '.d.ts')), 'utf8');
  const values = new Map();
  for (const [, name, body] of types.matchAll(/^export enum (\w+) \{\n(.*?)^\}/gms)) {
    const pairs = Array.from(body.matchAll(/^ {2}(\w+) = (-?\d+),$/gm), ([, key, number]) => [key, Number(number)]);
    values.set(
      name,
      Object.fromEntries(
        pairs.flatMap(([key, number]) => [
          [key, number],
          [number, key],
        ]),
      ),
    );
  }
  if (values.size === 0) return;
  const text = readFileSync(join(dir, file), 'utf8')
    .replaceAll(
      /^(export const (\w+) = )\/\*@__PURE__\*\/\n {2}tsEnum\(\w+\);$/gm,
      (_, start, name) => `${start}${JSON.stringify(values.get(name))};`,
    )
    .replace(', tsEnum }', ' }');
  if (text.includes('tsEnum')) throw new Error(`${file}: an enum was not found in its types`);
  writeFileSync(join(dir, file), text);
}
