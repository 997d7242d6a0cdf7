import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** Who is logged in, in a signed cookie: any name will do, with any password. */
export class Sessions {
  readonly #key: Buffer;

  constructor(key: Buffer) {
    this.#key = key;
  }

  userOf({ headers }: IncomingMessage): string | undefined {
    const [name, mark] = /(?:^|;\s*)session=([\w-]+)\.([\w-]+)/.exec(headers.cookie ?? '')?.slice(1) ?? [];
    if (name === undefined || mark === undefined) return undefined;
    const given = Buffer.from(mark, 'base64url');
    const right = this.#mark(name);
    if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
    return Buffer.from(name, 'base64url').toString('utf8');
  }

  /** A Set-Cookie value. */
  login(user: string): string {
    const name = Buffer.from(user, 'utf8').toString('base64url');
    return `session=${name}.${this.#mark(name).toString('base64url')}; Path=/; HttpOnly; SameSite=Lax`;
  }

  /** A Set-Cookie value. */
  logout(): string {
    return 'session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0';
  }

  #mark(name: string): Buffer {
    return createHmac('sha256', this.#key).update(name).digest();
  }
}
