import { benchBootstrap } from '../envoy-config.ts';
import { installed } from '../installed.ts';
import { configFile, type Peer } from './peer.ts';

/** Envoy, or Outrigger by the same command line and the same file. `binary`: a path, or a name to look for. */
export function envoyLike(name: string, binary: string): Peer {
  return {
    name,
    can: () => true,
    command(setup) {
      const path = binary.includes('/') ? binary : installed(binary);
      if (path === undefined) return undefined;
      const file = configFile(setup.dir, `${name}.yaml`, benchBootstrap(setup));
      return [path, '-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'error'];
    },
  };
}
