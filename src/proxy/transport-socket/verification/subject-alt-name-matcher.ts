import type { SubjectAltNameMatcherModel } from '../../../config/secret-model.ts';
import { compileStringMatcher, type StringMatcher } from '../../../lib/string-matcher.ts';
import type { Certificate, SubjectAltName } from '../../../lib/x509/certificate.ts';

const ANY_TYPES: ReadonlySet<string> = new Set(['dns', 'uri', 'email', 'ip']);

/** One of match_typed_subject_alt_names. An exact DNS name is compared as a host name: wildcards, any case. */
export class SubjectAltNameMatcher {
  readonly #type: SubjectAltNameMatcherModel['type'];
  readonly #oid: string;
  /** The name that a DNS certificate has to be for; undefined: `#matcher` decides. */
  readonly #exact: string | undefined;
  readonly #matcher: StringMatcher;

  constructor({ type, oid, matcher }: SubjectAltNameMatcherModel) {
    this.#type = type;
    this.#oid = oid;
    this.#exact = matcher.kind === 'exact' ? matcher.value : undefined;
    this.#matcher = compileStringMatcher(matcher);
  }

  matches(name: SubjectAltName): boolean {
    if (this.#type === 'any' ? !ANY_TYPES.has(name.type) : name.type !== this.#type) return false;
    if (name.type === 'other-name' && name.oid !== this.#oid) return false;
    // No honest name holds a NUL; one that does would look shorter to others than to us.
    if (name.value.includes('\0')) return false;
    if (name.type === 'dns' && this.#exact !== undefined) return dnsNameMatches(this.#exact, name.value);
    return this.#matcher.matches(name.value);
  }
}

/** auto_san_validation, or what a peer expects: DNS names as host names, all others as they are. */
export function hasOneOfNames(certificate: Certificate, names: readonly string[]): boolean {
  return certificate.subjectAltNames.some(
    ({ type, value }) =>
      !value.includes('\0') && names.some((name) => (type === 'dns' ? dnsNameMatches(name, value) : name === value)),
  );
}

/**
 * Whether a certificate for `pattern` is one for `name` (RFC 6125 section 6.4.3): `*` stands for one label or, once, for
 * a part of it, and only in the leftmost one, which isn't an A-label.
 */
export function dnsNameMatches(name: string, pattern: string): boolean {
  const wanted = name.toLowerCase();
  const given = pattern.toLowerCase();
  if (wanted === given) return true;
  const nameDot = wanted.indexOf('.');
  const patternDot = given.indexOf('.');
  if (nameDot === -1 || patternDot === -1) return false;
  const label = given.slice(0, patternDot);
  const rest = given.slice(patternDot);
  const star = label.indexOf('*');
  if (star === -1 || rest.includes('*') || label.startsWith('xn--') || wanted.slice(nameDot) !== rest) return false;
  if (label === '*') return true;
  const before = label.slice(0, star);
  const after = label.slice(star + 1);
  const wantedLabel = wanted.slice(0, nameDot);
  return (
    !after.includes('*') &&
    wantedLabel.length >= before.length + after.length &&
    wantedLabel.startsWith(before) &&
    wantedLabel.endsWith(after)
  );
}

/** The names as failure texts list them. */
export const listNames = (certificate: Certificate): string =>
  certificate.subjectAltNames.map(({ value }) => value).join(', ');
