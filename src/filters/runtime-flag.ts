import type { RuntimeFeatureFlag } from '../api/generated/envoy/config/core/v3/base_pb.js';
import type { RuntimeReader } from './http/filter.ts';

/** A core.v3.RuntimeFeatureFlag as a decision that is made anew with each call; absent, it is on. */
export function compileRuntimeFlag(flag: RuntimeFeatureFlag | undefined, runtime: RuntimeReader): () => boolean {
  const { runtimeKey = '', defaultValue } = flag ?? {};
  const byDefault = defaultValue ?? true;
  return runtimeKey === '' ? () => byDefault : () => runtime.getBoolean(runtimeKey, byDefault);
}
