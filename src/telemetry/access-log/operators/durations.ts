import type { StreamInfo } from '../../../filters/stream-info.ts';
import type { FormatContext } from '../access-log.ts';
import { absent, plain, type Operator, type OperatorTable } from './operator.ts';

/** Monotonic ms of a point in a stream's life; negative = not reached. */
type TimePoint = (info: StreamInfo) => number;

/** The point's distance from the start in whole ms; undefined if it was not reached. */
function sinceStart(point: TimePoint): Operator {
  return plain(({ info }: FormatContext) => {
    const at = point(info);
    return at < 0 ? undefined : Math.max(0, Math.floor(at - info.startMs));
  });
}

const notReached: TimePoint = () => -1;

const timePoints: Readonly<Record<string, TimePoint>> = {
  DS_RX_BEG: (info) => info.startMs,
  DS_RX_END: (info) => info.requestCompleteMs,
  US_CX_BEG: (info) => info.upstreamConnection?.startMs ?? -1,
  US_TX_BEG: (info) => info.upstreamFirstTxMs,
  US_TX_END: (info) => info.upstreamLastTxMs,
  US_RX_BEG: (info) => info.upstreamFirstRxMs,
  US_RX_END: (info) => info.upstreamLastRxMs,
  DS_TX_BEG: (info) => info.downstreamFirstTxMs,
  DS_TX_END: (info) => info.downstreamLastTxMs,
};

const needsConnectTimes = (point: string): boolean => point === 'US_CX_END' || point === 'US_HS_END';

const unitsPerMs: Readonly<Record<string, number>> = { ms: 1, us: 1e3, ns: 1e6 };

/** `%COMMON_DURATION(start:end:precision)%`. A point that isn't one of Envoy's names is never reached. */
const commonDuration: Operator = {
  params: 'required',
  length: false,
  compile(args, _maxLength, environment) {
    const [start, end, precision = 'ms', ...more] = args.split(':');
    if (end === undefined || more.length > 0) throw new Error(`Invalid common duration configuration: ${args}.`);
    const units = unitsPerMs[precision];
    if (units === undefined) throw new Error(`Invalid common duration precision: ${precision}.`);
    if (needsConnectTimes(start!) || needsConnectTimes(end)) environment.unsupported();
    const from = timePoints[start!] ?? notReached;
    const to = timePoints[end] ?? notReached;
    return ({ info }) => {
      const begin = from(info);
      const finish = to(info);
      return begin < 0 || finish < begin ? undefined : Math.floor((finish - begin) * units);
    };
  },
};

const duration: Operator = {
  params: 'none',
  length: false,
  compile:
    (_args, _maxLength, { clock }) =>
    ({ info }) =>
      Math.max(0, Math.floor((info.endMs < 0 ? clock.monotonic() : info.endMs) - info.startMs)),
};

/** How long a stream and its parts took, in whole milliseconds unless said otherwise. */
export const durationOperators: OperatorTable = {
  DURATION: duration,
  COMMON_DURATION: commonDuration,
  REQUEST_DURATION: sinceStart((info) => info.requestCompleteMs),
  REQUEST_TX_DURATION: sinceStart((info) => info.upstreamLastTxMs),
  RESPONSE_DURATION: sinceStart((info) => info.upstreamFirstRxMs),
  RESPONSE_TX_DURATION: plain(({ info }) =>
    info.downstreamLastTxMs < 0 || info.upstreamFirstRxMs < 0
      ? undefined
      : Math.floor(info.downstreamLastTxMs - info.upstreamFirstRxMs),
  ),
  // Only QUIC measures it.
  ROUNDTRIP_DURATION: plain(() => undefined),
  DOWNSTREAM_HANDSHAKE_DURATION: absent(),
  UPSTREAM_CONNECTION_POOL_READY_DURATION: absent(),
};
