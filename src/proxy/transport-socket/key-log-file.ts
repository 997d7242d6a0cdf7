import { appendFile } from 'node:fs';
import type { KeyLogModel } from '../../config/transport-socket-model.ts';
import { CidrList } from '../../lib/cidr.ts';
import { parseIpAddress } from '../../lib/ip-address.ts';
import type { Logger } from '../worker-context.ts';

/** The secrets of connections, in NSS's format, for those who debug with a packet capture (`key_log`). */
export class KeyLogFile {
  readonly #path: string;
  readonly #local: CidrList | undefined;
  readonly #remote: CidrList | undefined;
  readonly #log: Logger;
  #failed = false;

  constructor({ path, localAddressRanges, remoteAddressRanges }: KeyLogModel, log: Logger) {
    this.#path = path;
    this.#local = localAddressRanges.length === 0 ? undefined : new CidrList(localAddressRanges);
    this.#remote = remoteAddressRanges.length === 0 ? undefined : new CidrList(remoteAddressRanges);
    this.#log = log;
  }

  write(line: Buffer, localIp: string | undefined, remoteIp: string | undefined): void {
    if (!isIn(this.#local, localIp) || !isIn(this.#remote, remoteIp)) return;
    appendFile(this.#path, line, { mode: 0o600 }, (error) => {
      if (error === null || this.#failed) return;
      this.#failed = true;
      this.#log.warn('connection', `key log file can't be written: ${error.message}`);
    });
  }
}

function isIn(ranges: CidrList | undefined, ip: string | undefined): boolean {
  if (ranges === undefined) return true;
  const address = ip === undefined ? undefined : parseIpAddress(ip);
  return address !== undefined && ranges.contains(address);
}
