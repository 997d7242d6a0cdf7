/** Response flags (Envoy's CoreResponseFlag order): bit, short name for %RESPONSE_FLAGS%, long name for %RESPONSE_FLAGS_LONG%. */
const table = [
  ['LH', 'FailedLocalHealthCheck'],
  ['UH', 'NoHealthyUpstream'],
  ['UT', 'UpstreamRequestTimeout'],
  ['LR', 'LocalReset'],
  ['UR', 'UpstreamRemoteReset'],
  ['UF', 'UpstreamConnectionFailure'],
  ['UC', 'UpstreamConnectionTermination'],
  ['UO', 'UpstreamOverflow'],
  ['NR', 'NoRouteFound'],
  ['DI', 'DelayInjected'],
  ['FI', 'FaultInjected'],
  ['RL', 'RateLimited'],
  ['UAEX', 'UnauthorizedExternalService'],
  ['RLSE', 'RateLimitServiceError'],
  ['DC', 'DownstreamConnectionTermination'],
  ['URX', 'UpstreamRetryLimitExceeded'],
  ['SI', 'StreamIdleTimeout'],
  ['IH', 'InvalidEnvoyRequestHeaders'],
  ['DPE', 'DownstreamProtocolError'],
  ['UMSDR', 'UpstreamMaxStreamDurationReached'],
  ['RFCF', 'ResponseFromCacheFilter'],
  ['NFCF', 'NoFilterConfigFound'],
  ['DT', 'DurationTimeout'],
  ['UPE', 'UpstreamProtocolError'],
  ['NC', 'NoClusterFound'],
  ['OM', 'OverloadManagerTerminated'],
  ['DF', 'DnsResolutionFailed'],
  ['DO', 'DropOverload'],
  ['DR', 'DownstreamRemoteReset'],
  ['UDO', 'UnconditionalDropOverload'],
] as const;

export type ResponseFlagName = (typeof table)[number][0];

/** Short name -> bit. */
export const ResponseFlag = Object.fromEntries(table.map(([short], bit) => [short, 2 ** bit])) as Readonly<
  Record<ResponseFlagName, number>
>;

/** The names of the set flags joined with ',', in the order in which they were set where that is known; or '-'. */
export function formatResponseFlags(flags: number, long = false, order = 0): string {
  if (flags === 0) return '-';
  let text = '';
  if (order !== 0) {
    for (let rest = order; rest > 0; rest = Math.floor(rest / 32))
      text = table[(rest % 32) - 1]![long ? 1 : 0] + (text === '' ? '' : `,${text}`);
    return text;
  }
  for (let bit = 0; bit < table.length; bit++)
    if ((flags & (1 << bit)) !== 0) text += (text === '' ? '' : ',') + table[bit]![long ? 1 : 0];
  return text;
}
