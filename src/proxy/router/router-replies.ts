import { ResponseFlag } from '../../filters/response-flags.ts';
import type { StreamResetReason } from '../codec/codec.ts';
import type { HeaderMap } from '../http/headers.ts';
import type { RouterLocalReply } from '../http/request-sink.ts';
import { PROXY_ERRORS } from '../proxy-error.ts';
import type { DirectResponseAction, RedirectAction } from './route.ts';

/** The flag of an upstream reset (Envoy's streamResetReasonToResponseFlag). */
export function resetFlag(reason: StreamResetReason): number {
  switch (reason) {
    case 'local connection failure':
    case 'remote connection failure':
    case 'connection timeout':
      return ResponseFlag.UF;
    case 'connection termination':
    case 'HTTP/1 premature upstream half close':
      return ResponseFlag.UC;
    case 'local reset':
    case 'local refused stream reset':
      return ResponseFlag.LR;
    case 'overflow':
      return ResponseFlag.UO;
    case 'remote reset':
    case 'remote refused stream reset':
    case 'remote error with CONNECT request':
      return ResponseFlag.UR;
    case 'protocol error':
      return ResponseFlag.UPE;
    case 'overload manager reset':
      return ResponseFlag.OM;
  }
}

/** What a client gets when the last attempt was reset. */
export function upstreamResetReply(
  reason: StreamResetReason,
  transportFailure: string,
  responseStarted: boolean,
  retried: boolean,
): RouterLocalReply {
  const entry = responseStarted ? PROXY_ERRORS.upstreamResetAfterResponse : PROXY_ERRORS.upstreamResetBeforeResponse;
  const cause = transportFailure === '' ? reason : `${reason}|${transportFailure}`;
  return {
    status: resetStatus(reason),
    flag: resetFlag(reason),
    details: `${entry.details}{${cause.replaceAll(/\s/g, '_')}}`,
    body: `${entry.body}${retried ? 'retried and the latest ' : ''}reset reason: ${reason}`,
  };
}

export const resetStatus = (reason: StreamResetReason): number =>
  reason === 'protocol error'
    ? PROXY_ERRORS.upstreamProtocolError.status
    : PROXY_ERRORS.upstreamResetBeforeResponse.status;

/** 400 for a header of `strict_check_headers` that can't be understood. */
export function invalidControlReply(headers: HeaderMap, name: string): RouterLocalReply {
  const entry = PROXY_ERRORS.invalidEnvoyRequestHeaders;
  const body = `invalid header '${name}' with value '${headers.get(name) ?? ''}'`;
  return { ...entry, body, details: `${entry.details}{${name}}` };
}

/** The reply of a redirect or direct response route; its stream adds what the route does to responses. */
export function directReply(
  action: RedirectAction | DirectResponseAction,
  requestHeaders: HeaderMap,
  insertOriginalPath: boolean,
): RouterLocalReply {
  const location =
    action.kind === 'redirect' ? action.location(requestHeaders, insertOriginalPath) : action.location(requestHeaders);
  return {
    ...PROXY_ERRORS.directResponse,
    status: action.status,
    body: action.kind === 'direct-response' ? action.body : '',
    headers: location === '' ? [] : [['location', location]],
  };
}
