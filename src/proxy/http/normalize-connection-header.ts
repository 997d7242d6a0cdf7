import type { HeaderMap } from './headers.ts';

const MAX_NOMINATED = 10;
const MAX_TE_LENGTH = 256;

/**
 * Removes the fields that a request's `connection` nominates (RFC 9110 section 7.6.1), with Envoy's precautions:
 * false, and the request is malformed (`http1.connection_header_rejected`), when it nominates ten or more, a
 * pseudo-header or a field that says where the request came from, or an overlong `te`.
 * Not for upgrade requests, whose `connection` is forwarded.
 */
export function removeNominatedHeaders(headers: HeaderMap): boolean {
  const fields = headers.getAll('connection');
  if (fields.length === 0) return true;
  const tokens = fields
    .join(',')
    .split(',')
    .map((token) => token.trim().toLowerCase())
    .filter((token) => token !== '');
  if (tokens.length >= MAX_NOMINATED) return false;
  for (const token of tokens) {
    switch (token) {
      case 'close':
      case 'http2-settings':
      case 'keep-alive':
      case 'upgrade':
      case 'connection':
        continue;
      case 'x-forwarded-for':
      case 'x-forwarded-host':
      case 'x-forwarded-proto':
        return false;
      case 'host':
        headers.authority = '';
        continue;
      case 'te': {
        const te = headers.getAll('te').join(',');
        if (te.length >= MAX_TE_LENGTH) return false;
        if (te.split(',').some((value) => value.trim().toLowerCase() === 'trailers')) headers.set('te', 'trailers');
        else headers.delete('te');
        continue;
      }
      default:
        if (token.startsWith(':')) return false;
        headers.delete(token);
    }
  }
  return true;
}
