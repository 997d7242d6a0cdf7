// node examples/xds-server/main.ts FOLDER [ADDRESS]: serves a folder of Envoy resources over ADS.
import { XdsServer } from './xds-server.ts';

const [folder, address = '127.0.0.1:18000'] = process.argv.slice(2);
if (folder === undefined) {
  console.error('usage: node examples/xds-server/main.ts FOLDER [HOST:PORT | unix:/path]');
  process.exit(2);
}
const log = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);
const server = await XdsServer.start({ folder, address, log });
log(`serving ${folder} on ${address.startsWith('unix:') ? address : address.replace(/\d+$/, String(server.port))}`);
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void server[Symbol.asyncDispose]().then(() => process.exit(0)));
