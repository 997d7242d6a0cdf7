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
const BUNDLED = ['@bufbuild/protobuf', 'ipaddr.js', 're2js', 'yaml'];
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
      if (level === 'warn') throw new Error(log.message);
    },
  });
  const { output } = await bundle.write({
    dir: dist,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    comments: false,
  });
  writeLicenses(output.flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : [])));
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

/** Generated modules stay files of their own: which ones are loaded, the config decides. */
function generatedApi() {
  return {
    name: 'generated-api',
    resolveId(id, importer) {
      if (importer === undefined || !id.startsWith('.')) return undefined;
      const file = resolve(dirname(importer), id);
      if (!file.startsWith(generated)) return undefined;
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
