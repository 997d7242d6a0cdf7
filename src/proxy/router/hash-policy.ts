import type { HashPolicyModel } from '../../config/route-model.ts';
import { hash64 } from '../../lib/hash64.ts';
import { compileRegexReplacement, type RegexReplacement } from '../../lib/regex.ts';
import { wireText } from '../../lib/wire-text.ts';
import type { HeaderMap } from '../http/headers.ts';
import type { MutableStreamInfo } from '../http/stream-info.ts';
import { firstQueryParameter } from '../../filters/query-parameter-matcher.ts';

const ALL64 = 0xffff_ffff_ffff_ffffn;

/** Who may be asked for a cookie that the request lacks; its `set-cookie` goes out with the response. */
export interface CookieMaker {
  /** The value of `set-cookie`. */
  addCookie(setCookie: string): void;
}

/** RouteAction.hash_policy, compiled: what the load balancer hashes a request by. */
export class HashPolicy {
  readonly #policies: readonly Policy[];

  private constructor(policies: readonly Policy[]) {
    this.#policies = policies;
  }

  /** Undefined: the route has none. */
  static of(models: readonly HashPolicyModel[]): HashPolicy | undefined {
    return models.length === 0 ? undefined : new HashPolicy(models.map(compile));
  }

  /** Undefined: nothing of what the policies look at is there. Its parts are combined in order, as in Envoy. */
  hash(headers: HeaderMap, info: MutableStreamInfo, cookies: CookieMaker): bigint | undefined {
    let hash: bigint | undefined;
    for (const policy of this.#policies) {
      const part = policy.hash(headers, info, cookies);
      // Turned by a bit each time, so that two equal parts don't undo each other.
      if (part !== undefined) hash = hash === undefined ? part : (((hash << 1n) & ALL64) | (hash >> 63n)) ^ part;
      if (policy.terminal && hash !== undefined) break;
    }
    return hash;
  }
}

interface Policy {
  readonly terminal: boolean;
  hash(headers: HeaderMap, info: MutableStreamInfo, cookies: CookieMaker): bigint | undefined;
}

function compile(model: HashPolicyModel): Policy {
  const { terminal } = model;
  switch (model.kind) {
    case 'header':
      return new HeaderPolicy(model.name, model.rewrite, terminal);
    case 'cookie':
      return new CookiePolicy(model);
    case 'source-ip':
      return { terminal, hash: (_headers, { downstreamRemoteIp: ip }) => (ip === '' ? undefined : hash64(ip)) };
    case 'query-parameter': {
      const name = wireText(model.name);
      return {
        terminal,
        hash: ({ path }) => {
          const value = firstQueryParameter(path, name);
          return value === undefined ? undefined : hash64(value);
        },
      };
    }
    case 'filter-state':
      return {
        terminal,
        hash: (_headers, info) => {
          const value = info.knownFilterState?.get(model.key);
          return typeof value === 'string' ? hash64(wireText(value)) : undefined;
        },
      };
  }
}

class HeaderPolicy implements Policy {
  readonly terminal: boolean;
  readonly #name: string;
  readonly #rewrite: RegexReplacement | undefined;

  constructor(
    name: string,
    rewrite: { readonly regex: string; readonly substitution: string } | undefined,
    terminal: boolean,
  ) {
    this.terminal = terminal;
    this.#name = name === 'host' ? ':authority' : name;
    this.#rewrite = rewrite && compileRegexReplacement(rewrite.regex, rewrite.substitution);
  }

  hash(headers: HeaderMap): bigint | undefined {
    let values = headers.getAll(this.#name);
    if (values.length === 0) return undefined;
    const rewrite = this.#rewrite;
    if (rewrite !== undefined) values = values.map((value) => rewrite.replaceAll(value));
    // In whatever order a client sends them.
    return hash64(values.length === 1 ? values[0]! : values.sort().join(''));
  }
}

class CookiePolicy implements Policy {
  readonly terminal: boolean;
  readonly #name: string;
  /** Of a cookie that we make: what follows its value; undefined: we make none. */
  readonly #suffix: string | undefined;

  constructor(model: Extract<HashPolicyModel, { kind: 'cookie' }>) {
    this.terminal = model.terminal;
    this.#name = wireText(model.name);
    if (model.ttlMs === undefined) return;
    const seconds = Math.trunc(model.ttlMs / 1000);
    let suffix = seconds === 0 ? '' : `; Max-Age=${seconds}`;
    if (model.path !== '') suffix += `; Path=${model.path}`;
    for (const { name, value } of model.attributes) suffix += value === '' ? `; ${name}` : `; ${name}=${value}`;
    this.#suffix = wireText(`${suffix}; HttpOnly`);
  }

  hash(headers: HeaderMap, info: MutableStreamInfo, cookies: CookieMaker): bigint | undefined {
    const received = cookieValue(headers, this.#name);
    if (received !== '') return hash64(received);
    if (this.#suffix === undefined) return undefined;
    // The same for all requests of a connection, so that those which race for a cookie get the same one.
    const { remoteAddress, localAddress } = info.connection;
    const made = hash64(remoteAddress + localAddress)
      .toString(16)
      .padStart(16, '0');
    cookies.addCookie(`${this.#name}="${made}"${this.#suffix}`);
    return hash64(made);
  }
}

/** The value of a cookie without the quotes around it; '' = it isn't there. */
function cookieValue(headers: HeaderMap, name: string): string {
  const { names, values } = headers;
  for (let i = 0; i < names.length; i++) {
    if (names[i] !== 'cookie') continue;
    for (const pair of values[i]!.split(';')) {
      const equals = pair.indexOf('=');
      if (equals === -1 || pair.slice(0, equals).trim() !== name) continue;
      const value = pair.slice(equals + 1).trim();
      return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
    }
  }
  return '';
}
