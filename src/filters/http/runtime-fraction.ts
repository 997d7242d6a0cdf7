import type { RuntimeFractionalPercent } from '../../api/generated/envoy/config/core/v3/base_pb.js';
import type { FactoryContext } from './filter.ts';

const DENOMINATORS: readonly number[] = [100, 10_000, 1_000_000];
/** A multiple of every denominator. */
const RANDOM_BOUND = 1_000_000;

/** A core.v3.RuntimeFractionalPercent as a decision that is made anew with each call; absent, it is always `byDefault`. */
export function compileRuntimeFraction(
  message: RuntimeFractionalPercent | undefined,
  byDefault: boolean,
  { runtime, random }: Pick<FactoryContext, 'runtime' | 'random'>,
): () => boolean {
  if (message === undefined) return () => byDefault;
  const { runtimeKey, defaultValue } = message;
  const fraction = {
    numerator: defaultValue?.numerator ?? 0,
    denominator: DENOMINATORS[defaultValue?.denominator ?? 0] ?? 100,
  };
  return () => runtime.featureEnabled(runtimeKey, fraction, random.below(RANDOM_BOUND));
}
