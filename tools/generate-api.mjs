// Generates src/api/generated from the .proto files of @grpc/grpc-js-xds and of proto/: the import closure of the
// entry files below, and an index of message type name -> module, from which src/api/registry.ts loads on demand.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { anyHolders } from './any-holders.mjs';
import { apiAdditions, withAdditions } from './api-additions.mjs';
import { packApi } from './pack-api.mjs';

const root = join(import.meta.dirname, '..');
const out = join(root, 'src/api/generated');
const stampFile = join(out, '.stamp');

/** Folders or files, relative to an import root, whose messages a config, an xDS response or the admin server can name. */
const entries = [
  'envoy/config/bootstrap/v3',
  'envoy/config/accesslog/v3',
  'envoy/config/cluster/v3',
  'envoy/config/common/matcher/v3',
  'envoy/config/endpoint/v3',
  'envoy/config/listener/v3',
  'envoy/config/metrics/v3',
  'envoy/config/overload/v3',
  'envoy/config/rbac/v3',
  'envoy/config/route/v3',
  'envoy/config/tap/v3',
  'envoy/config/trace/v3/datadog.proto',
  'envoy/config/trace/v3/opentelemetry.proto',
  'envoy/config/trace/v3/zipkin.proto',
  'envoy/config/trace/v3/skywalking.proto',
  'envoy/config/upstream/local_address_selector/v3',
  'envoy/admin/v3',
  'envoy/data/accesslog/v3',
  'envoy/extensions',
  'envoy/service/accesslog/v3',
  'envoy/service/auth/v3',
  'envoy/service/discovery/v3',
  'envoy/service/ext_proc/v3',
  'envoy/service/health/v3',
  'envoy/service/load_stats/v3',
  'envoy/service/ratelimit/v3',
  'envoy/service/runtime/v3',
  'envoy/service/secret/v3',
  'envoy/service/status/v3',
  'envoy/type',
  'udpa/type/v1',
  'xds/type',
  'xds/core/v3',
  'istio',
  'outrigger',
];
/** Files whose imports are in no package that we depend on. */
const unavailable = [
  'envoy/config/trace/v3/opencensus.proto',
  'envoy/config/trace/v3/trace.proto',
  'envoy/extensions/access_loggers/open_telemetry/v3/logs_service.proto',
];

/** What every proxy with HTTP listeners loads. */
const packed = [
  'envoy/config/bootstrap/v3/bootstrap_pb.js',
  'envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js',
  'envoy/extensions/filters/http/router/v3/router_pb.js',
];

const require = createRequire(import.meta.url);
let packageDir;
try {
  packageDir = dirname(require.resolve('@grpc/grpc-js-xds/package.json'));
} catch {
  if (existsSync(stampFile)) process.exit(0); // an install without dev dependencies: what is there serves
  console.error(
    'outrigger: the dev dependency @grpc/grpc-js-xds, whose .proto files the API is generated from, is not installed',
  );
  process.exit(1);
}
const deps = join(packageDir, 'deps');
const roots = [
  join(root, 'proto'),
  join(deps, 'envoy-api'),
  join(deps, 'xds'),
  join(deps, 'googleapis'),
  join(deps, 'protoc-gen-validate'),
];

const stamp = JSON.stringify([
  JSON.parse(readFileSync(join(packageDir, 'package.json'), 'utf8')).version,
  JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).dependencies['@bufbuild/protobuf'],
  readFileSync(import.meta.filename, 'utf8').length,
  readFileSync(join(import.meta.dirname, 'pack-api.mjs'), 'utf8').length,
  readFileSync(join(import.meta.dirname, 'any-holders.mjs'), 'utf8').length,
  readFileSync(join(import.meta.dirname, 'file-desc.js'), 'utf8').length,
  apiAdditions,
  readdirSync(join(root, 'proto'), { recursive: true }).map((file) => [
    file,
    file.endsWith('.proto') ? readFileSync(join(root, 'proto', file), 'utf8').length : 0,
  ]),
]);
if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) process.exit(0);

const find = (path) => {
  for (const dir of roots) if (existsSync(join(dir, path))) return join(dir, path);
  return undefined;
};
const closure = new Set();
const visit = (path) => {
  if (closure.has(path) || unavailable.includes(path) || path.startsWith('google/protobuf/')) return;
  const file = find(path);
  if (file === undefined) throw new Error(`${path} is imported and is in no import root`);
  closure.add(path);
  for (const [, imported] of readFileSync(file, 'utf8').matchAll(/^import\s+(?:public\s+|weak\s+)?"([^"]+)";/gm))
    visit(imported);
};
for (const entry of entries) {
  if (entry.endsWith('.proto')) visit(entry);
  else
    for (const dir of roots)
      if (existsSync(join(dir, entry)))
        for (const file of readdirSync(join(dir, entry), { recursive: true }))
          if (
            file.endsWith('.proto') &&
            !/\/v[12](alpha\d*|beta\d*)?\//.test(`/${entry}/${file}`.replace('/udpa/type/v1/', '/'))
          )
            visit(`${entry}/${file}`);
}

/** The package's copy of the validation rules is older than the Envoy files that use them: it lacks one field. */
function overlayValidateRules(file) {
  const text = readFileSync(file, 'utf8');
  if (!/message StringRules \{[^}]*ignore_empty/.test(text))
    writeFileSync(
      file,
      text.replace(/message StringRules \{/, 'message StringRules {\n  optional bool ignore_empty = 26;'),
    );
}

const work = mkdtempSync(join(tmpdir(), 'outrigger-api-'));
try {
  for (const path of closure) {
    mkdirSync(dirname(join(work, 'proto', path)), { recursive: true });
    cpSync(find(path), join(work, 'proto', path));
    if (path in apiAdditions)
      writeFileSync(join(work, 'proto', path), withAdditions(path, readFileSync(find(path), 'utf8')));
    if (path === 'validate/validate.proto') overlayValidateRules(join(work, 'proto', path));
  }
  writeFileSync(join(work, 'buf.yaml'), 'version: v2\nmodules:\n  - path: proto\n');
  const plugin = join(root, 'node_modules/@bufbuild/protoc-gen-es/bin/protoc-gen-es');
  writeFileSync(
    join(work, 'buf.gen.yaml'),
    `version: v2\nplugins:\n  - local: [${JSON.stringify(process.execPath)}, ${JSON.stringify(plugin)}]\n    out: gen\n    opt: [target=js+dts, import_extension=js]\n    strategy: all\n`,
  );
  execFileSync(join(root, 'node_modules/.bin/buf'), ['generate'], {
    cwd: work,
    stdio: ['ignore', 'inherit', 'inherit'],
  });

  const index = {};
  const gen = join(work, 'gen');
  for (const file of readdirSync(gen, { recursive: true })
    .filter((f) => f.endsWith('_pb.d.ts'))
    .sort())
    for (const [, typeName] of readFileSync(join(gen, file), 'utf8').matchAll(
      / \* Describes the message ([\w.]+)\.\n/g,
    ))
      index[typeName] = relative(gen, join(gen, file)).replace(/\.d\.ts$/, '.js');
  writeFileSync(join(gen, 'message-index.json'), JSON.stringify(index));
  writeFileSync(join(gen, 'any-holders.json'), JSON.stringify(anyHolders(gen)));
  packApi(gen, packed);
  writeFileSync(join(gen, '.stamp'), stamp);
  // Swapped in whole: a process that starts meanwhile finds the old ones or the new ones.
  const [fresh, stale] = [`${out}.fresh`, `${out}.stale`];
  for (const dir of [fresh, stale]) rmSync(dir, { recursive: true, force: true });
  cpSync(gen, fresh, { recursive: true });
  if (existsSync(out)) renameSync(out, stale);
  renameSync(fresh, out);
  rmSync(stale, { recursive: true, force: true });
  console.log(`outrigger: generated ${closure.size} API files (${Object.keys(index).length} messages)`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
