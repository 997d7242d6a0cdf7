import { readFileSync } from 'node:fs';

/** The Envoy release whose behaviour and API this proxy follows. */
export const ENVOY_VERSION = '1.40.0';

/** The version of this package. */
export function packageVersion(): string {
  // In the published package all modules are in dist/.
  const file = new URL(import.meta.url.endsWith('.ts') ? '../../package.json' : '../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/** In the form that tools parse out of `envoy --version`: revision/version/status/build type/TLS library. */
export function versionLine(program: string): string {
  return `${program}  version: ${'0'.repeat(40)}/${ENVOY_VERSION}/Clean/RELEASE/OpenSSL (outrigger ${packageVersion()}, Node.js ${process.versions.node})`;
}
