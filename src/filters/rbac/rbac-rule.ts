import type { CidrRange as CidrMessage } from '../../api/generated/envoy/config/core/v3/address_pb.js';
import type { HeaderMatcher } from '../../api/generated/envoy/config/route/v3/route_components_pb.js';
import type { MetadataMatcher } from '../../api/generated/envoy/type/matcher/v3/metadata_pb.js';
import type { PathMatcher } from '../../api/generated/envoy/type/matcher/v3/path_pb.js';
import type { StringMatcher } from '../../api/generated/envoy/type/matcher/v3/string_pb.js';
import { cidrContains, parseCidr } from '../../lib/cidr.ts';
import { parseIpAddress } from '../../lib/ip-address.ts';
import { compileStringMatcher } from '../../lib/string-matcher.ts';
import { wireText } from '../../lib/wire-text.ts';
import { ConfigError } from '../config-type.ts';
import { compileHeaderMatch, headerMatchOf, stringMatchOf } from '../header-matcher.ts';
import type { Headers } from '../headers.ts';
import type { StreamInfo } from '../stream-info.ts';
import { compileValueTest } from '../value-test.ts';

/** One permission or principal: whether it holds for a connection, or for a request on it (with headers). */
export type RbacRule = (info: StreamInfo, headers: Headers | undefined) => boolean;

export const anyOf = (rules: readonly RbacRule[]): RbacRule =>
  rules.length === 1 ? rules[0]! : (info, headers) => rules.some((rule) => rule(info, headers));

export const allOf = (rules: readonly RbacRule[]): RbacRule =>
  rules.length === 1 ? rules[0]! : (info, headers) => rules.every((rule) => rule(info, headers));

export const not =
  (rule: RbacRule): RbacRule =>
  (info, headers) =>
    !rule(info, headers);

/** `ipOf`: the address to look at; what has none (a Unix socket) is in no range. */
export function ipRule(range: CidrMessage, ipOf: (info: StreamInfo) => string): RbacRule {
  const cidr = parseCidr(`${range.addressPrefix}/${range.prefixLen ?? 0}`);
  if (cidr === undefined) throw new ConfigError(`malformed IP address: ${range.addressPrefix}`);
  return (info) => {
    const address = parseIpAddress(ipOf(info));
    return address !== undefined && cidrContains(cidr, address);
  };
}

/** Without headers (on a connection) no header matches, unless it asks for one to be absent. */
export function headerRule(message: HeaderMatcher): RbacRule {
  const test = compileHeaderMatch(headerMatchOf(message));
  return (_info, headers) => test(headers);
}

/** The path without query and fragment. */
export function pathRule(message: PathMatcher): RbacRule {
  const test = stringTest(message.rule.value);
  return (_info, headers) => {
    const path = headers?.get(':path');
    return path !== undefined && test(path.slice(0, pathEnd(path)));
  };
}

/** Looks at dynamic metadata. */
export function metadataRule(message: MetadataMatcher): RbacRule {
  const { filter, invert } = message;
  const keys = message.path.map(({ segment }) => segment.value ?? '');
  const test = compileValueTest(message.value);
  return (info) => {
    let value: unknown = info.dynamicMetadata.get(filter);
    for (const key of keys) value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
    return test(value) !== invert;
  };
}

/** Tests text as it is on the wire, one character a byte. Throws ConfigError on a bad regex. */
export function stringTest(message: StringMatcher | undefined): (text: string) => boolean {
  if (message === undefined) throw new ConfigError('a string matcher is required');
  const match = stringMatchOf(message);
  try {
    const matcher = compileStringMatcher(match);
    return (text) => matcher.matches(text);
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error));
  }
}

/** The same for text that may hold any character. */
export function textTest(message: StringMatcher | undefined): (text: string) => boolean {
  const test = stringTest(message);
  return (text) => test(wireText(text));
}

function pathEnd(path: string): number {
  const query = path.indexOf('?');
  const fragment = path.indexOf('#');
  if (query === -1) return fragment === -1 ? path.length : fragment;
  return fragment === -1 ? query : Math.min(query, fragment);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
