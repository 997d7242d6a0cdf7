import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchCase } from '../cases.ts';
import type { BenchCertificates } from '../certificates.ts';

/** What a peer is set up with. */
export interface PeerSetup {
  readonly test: BenchCase;
  /** Where it listens; `port + 1` is its own too. */
  readonly port: number;
  /** The upstream for this case. */
  readonly upstream: number;
  readonly certificates: BenchCertificates;
  /** For files of its own. */
  readonly dir: string;
}

/** A proxy that can be measured. */
export interface Peer {
  readonly name: string;
  /** The command that serves; undefined: it isn't installed here. */
  command(setup: PeerSetup): string[] | undefined;
  /** Whether it can do what the case asks for. */
  can(test: BenchCase): boolean;
}

/** Writes a config file; its path. */
export function configFile(dir: string, name: string, text: string): string {
  const file = join(dir, name);
  writeFileSync(file, text);
  return file;
}
