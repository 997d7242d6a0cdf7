import type { Duration } from '@bufbuild/protobuf/wkt';

/** A duration in milliseconds (with a fraction); undefined when it is unset. */
export function durationMs(duration: Duration): number;
export function durationMs(duration: Duration | undefined): number | undefined;
export function durationMs(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
