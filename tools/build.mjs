// Builds dist/, what the published package and the image run: the modules of src/ and what they need at every start
// bundled into few files (finding and loading a module costs up to a millisecond, and there are five hundred), the
// types by tsc, and the generated API beside them.
import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { rolldown } from 'rolldown';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const generated = join(root, 'src/api/generated/');
const API = 'api/generated/';
/** Packages that every start needs; the others are loaded from node_modules by who needs them. */
const BUNDLED = ['@bufbuild/protobuf', 'ipaddr.js', 'yaml'];
/** What the generated modules import, so that they share the bundle's copy. */
const RUNTIME = 'protobuf.js';

rmSync(dist, { recursive: true, force: true });
execFileSync(process.execPath, [join(root, 'tools/generate-api.mjs')], { stdio: 'inherit' });
execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
await bundle();
copyApi();

async function bundle() {
  const bundle = await rolldown({
    cwd: root,
    platform: 'node',
    input: {
      main: 'src/main.ts',
      worker: 'src/worker/worker.ts',
      index: 'src/index.ts',
      [RUNTIME.replace('.js', '')]: 'virtual:protobuf',
    },
    external: (id) => /^[^./]/.test(id) && !id.startsWith('virtual:') && packageOf(id) === undefined,
    plugins: [protobufRuntime(), generatedApi(), nodeModules()],
    onLog(level, log) {
      if (level === 'warn' && log.code !== 'INEFFECTIVE_DYNAMIC_IMPORT') throw new Error(log.message);
    },
  });
  const { output } = await bundle.write({
    dir: dist,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    comments: false,
    codeSplitting: { groups: startGroups() },
  });
  writeLicenses(output.flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : [])));
}

/**
 * One file for what both the main thread and the workers load when they start, and one for what the main thread does.
 * What of that filters need too, which workers load later, has a file of its own.
 */
function startGroups() {
  const main = importedBy('src/main.ts', ['src/main.ts', 'src/cli/run.ts']);
  const worker = importedBy('src/worker/worker.ts');
  // A file of its own: it has something to do before it loads the rest.
  main.delete(join(root, 'src/main.ts'));
  const filters = new Set();
  for (const file of readdirSync(join(root, 'src/filters'), { recursive: true, encoding: 'utf8' }))
    if (file.endsWith('.ts')) importedBy(join('src/filters', file), [], filters);
  return [
    { name: 'protobuf-es', priority: 3, test: /\/@bufbuild\/protobuf\/(?!.*\/txtpb\/)/ },
    { name: 'common', priority: 2, test: (id) => main.has(id) && worker.has(id) },
    { name: 'control-for-filters', priority: 2, test: (id) => main.has(id) && filters.has(id) },
    { name: 'control', priority: 1, test: (id) => main.has(id) },
  ];
}

/** The modules of src/ that `entry` loads, with those that the modules `late` load by import(). */
function importedBy(entry, late = [], found = new Set()) {
  const file = resolve(root, entry);
  if (found.has(file) || file.startsWith(generated)) return found;
  found.add(file);
  const text = readFileSync(file, 'utf8');
  const imports = [...text.matchAll(/^(?:import|export|\}) (?!type\b).*?from '(\.[^']*)';$/gm)];
  if (late.includes(relative(root, file))) imports.push(...text.matchAll(/\bimport\('(\.[^']*)'\)/g));
  for (const [, id] of imports) importedBy(relative(root, resolve(dirname(file), id)), late, found);
  return found;
}

function packageOf(id) {
  return BUNDLED.find((name) => id === name || id.startsWith(`${name}/`));
}

/** What generated modules import of protobuf-es. */
function runtimeNames() {
  const names = new Map();
  for (const file of generatedModules())
    for (const [, imported, from] of readFileSync(join(generated, file), 'utf8').matchAll(
      /^import \{ ([^}]*) \} from ["'](@bufbuild\/protobuf[^"']*)["'];$/gm,
    ))
      for (const name of imported.split(', ')) names.set(name.split(' as ')[0], from);
  return names;
}

function protobufRuntime() {
  return {
    name: 'protobuf-runtime',
    resolveId: (id) => (id === 'virtual:protobuf' ? id : undefined),
    load: (id) =>
      id === 'virtual:protobuf'
        ? Array.from(runtimeNames(), ([name, from]) => `export { ${name} } from "${from}";\n`).join('')
        : undefined,
  };
}

/**
 * Generated modules stay files of their own: which ones are loaded, the config decides. Where one only names a part of
 * the pack (see pack-api.mjs), the bundle names it itself.
 */
function generatedApi() {
  return {
    name: 'generated-api',
    resolveId(id, importer) {
      if (importer === undefined || !id.startsWith('.')) return undefined;
      const file = resolve(dirname(importer), id);
      if (!file.startsWith(generated) || /^import \{ m\d+ \}/.test(readFileSync(file, 'utf8'))) return undefined;
      return { id: `./${API}${file.slice(generated.length)}`, external: 'absolute' };
    },
  };
}

/**
 * Importing one of Node.js's own modules reads all that it exports, and so loads what it would load on demand: undici
 * for `node:http`, Web Crypto for `node:crypto`. Asking for the module doesn't.
 */
function nodeModules() {
  return {
    name: 'node-modules',
    renderChunk: (code) =>
      code.replaceAll(
        /^import (?:\* as )?(\w+|\{[^}]*\}) from "(node:[\w/]+)";$/gm,
        (_, names, id) => `const ${names.replaceAll(' as ', ': ')} = process.getBuiltinModule("${id}");`,
      ),
  };
}

function generatedModules() {
  return readdirSync(generated, { recursive: true }).filter((file) => file.endsWith('.js'));
}

function copyApi() {
  const target = join(dist, API);
  cpSync(generated, target, { recursive: true });
  for (const file of generatedModules()) {
    const runtime = relative(dirname(join(target, file)), join(dist, RUNTIME));
    const text = readFileSync(join(generated, file), 'utf8');
    writeFileSync(
      join(target, file),
      text
        .replaceAll(/from ["']@bufbuild\/protobuf(\/\w+)?["']/g, `from "${runtime}"`)
        .replaceAll(/^\/\/.*\n|^\/\*[^]*?\*\/\n/gm, ''),
    );
  }
}

/** The licenses of what was bundled, and the notices that its modules begin with. */
function writeLicenses(modules) {
  const texts = BUNDLED.map((name) => {
    const folder = join(root, 'node_modules', name);
    const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const notices = modules
      .filter((id) => id.startsWith(`${folder}/`))
      .map((id) => /^(?:\/\/.*\n)*/.exec(readFileSync(id, 'utf8'))[0].replaceAll(/^\/\/ ?/gm, ''));
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    // Without a file of its own its license is this package's.
    const text = readFileSync(file === undefined ? join(root, 'LICENSE') : join(folder, file), 'utf8');
    return [`${name} ${version}: ${license}\n`, ...new Set(notices), text].filter(Boolean).join('\n');
  });
  writeFileSync(join(dist, 'LICENSES.txt'), texts.join(`\n${'-'.repeat(80)}\n\n`));
}
