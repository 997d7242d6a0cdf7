import type { CodecError } from '../codec.ts';
import { Http1Error } from './errors.ts';
import type { HeadParser } from './head-parser.ts';

/** A connection header with this many options is refused, as in Envoy. */
const MAX_OPTIONS = 10;

/**
 * Works out what the connection header and its companions say (RFC 9110 section 7.6.1) and takes from the map what
 * they nominate: whether the client closes, and which protocol it asks to upgrade to (`headers.protocol`; the fields
 * `connection` and `upgrade` stay in the map then, since they travel on). An upgrade to h2c is ignored. `te` goes on
 * only as `trailers`.
 */
export function acceptRequestConnection(head: HeadParser): CodecError | undefined {
  const { connection } = head;
  if (head.te !== '') acceptTe(head);
  // What nearly every request says.
  if (connection === '' || connection === 'keep-alive') {
    head.closes = (head.version === 10 && connection === '') || hasOption(head.proxyConnection, 'close');
    return undefined;
  }
  if (connection === 'close') {
    head.closes = true;
    return undefined;
  }

  let keepAlive = false;
  let upgrade = false;
  let nominated: string[] | undefined;
  let count = 0;
  for (const part of connection.split(',')) {
    const option = part.trim().toLowerCase();
    if (++count >= MAX_OPTIONS) return Http1Error.connectionHeaderRejected;
    if (option === '' || option === 'te' || option === 'http2-settings') continue;
    if (option === 'close') head.closes = true;
    else if (option === 'keep-alive') keepAlive = true;
    else if (option === 'upgrade') upgrade = true;
    else if (isProtected(option)) return Http1Error.connectionHeaderRejected;
    else (nominated ??= []).push(option);
  }
  if (head.version === 10 && !keepAlive) head.closes = true;
  if (hasOption(head.proxyConnection, 'close')) head.closes = true;
  if (upgrade && head.upgrade !== '' && head.version === 11) {
    acceptUpgrade(head, nominated === undefined ? connection : 'Upgrade');
  }
  if (nominated !== undefined) for (const name of nominated) head.headers.delete(name);
  return undefined;
}

/** The same for a response: its nominations are left alone, as in Envoy; an upgrade counts only in a 101. */
export function acceptResponseConnection(head: HeadParser): void {
  const { connection } = head;
  const close = hasOption(connection, 'close') || hasOption(head.proxyConnection, 'close');
  head.closes = close || (head.version === 10 && !hasOption(connection, 'keep-alive'));
  if (head.headers.status === 101 && head.upgrade !== '') insertUpgrade(head, head.upgrade, connection || 'upgrade');
}

/** Whether the comma-separated `list` has `option` (given in lower case). */
export function hasOption(list: string, option: string): boolean {
  if (list.length < option.length) return false;
  if (list.length === option.length) return list === option || list.toLowerCase() === option;
  return list.split(',').some((part) => part.trim().toLowerCase() === option);
}

/** What others rely on: nobody may have it removed by naming it. */
function isProtected(option: string): boolean {
  return (
    option.startsWith(':') ||
    option === 'x-forwarded-for' ||
    option === 'x-forwarded-host' ||
    option === 'x-forwarded-proto' ||
    option === 'host' ||
    option === 'authorization'
  );
}

function acceptTe(head: HeadParser): void {
  if (hasOption(head.te, 'trailers')) insertAt(head, head.teAt, 'te', 'trailers', 't');
}

function acceptUpgrade(head: HeadParser, connection: string): void {
  let upgrade = head.upgrade;
  if (hasOption(upgrade, 'h2c')) {
    upgrade = upgrade
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '' && part.toLowerCase() !== 'h2c')
      .join(', ');
    head.headers.delete('http2-settings');
  }
  if (upgrade !== '') insertUpgrade(head, upgrade, connection);
}

function insertUpgrade(head: HeadParser, upgrade: string, connection: string): void {
  head.headers.protocol = upgrade;
  insertAt(head, head.upgradeAt, head.upgradeName, upgrade, 'u');
  insertAt(head, head.connectionAt, head.connectionName, connection, 'c');
}

/** Puts a field that was kept beside the map where it stood; `mark` is its letter in `hopOrder`. */
function insertAt(head: HeadParser, at: number, name: string, value: string, mark: string): void {
  const { headers, hopOrder } = head;
  // Those that came before it and are in the map already have moved it on.
  let place = at;
  const seen = hopOrder.indexOf(mark);
  for (let i = 0; i < seen; i++) if (headers.names.includes(fieldOf(hopOrder[i]!))) place++;
  headers.names.splice(place, 0, name.toLowerCase());
  headers.values.splice(place, 0, value);
  headers.originalNames?.splice(place, 0, name);
}

function fieldOf(mark: string): string {
  return mark === 'c' ? 'connection' : mark === 'u' ? 'upgrade' : 'te';
}
