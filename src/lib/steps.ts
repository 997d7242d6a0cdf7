/**
 * Long computations on the main thread, cut into short steps: a generator that yields wherever it may be interrupted.
 */
export type Steps<Result> = Generator<void, Result, void>;

/** How many comparisons or copies a sort makes between two yields. */
const STRIDE = 2048;

/** Sorts as `items.toSorted(compare)` would, in steps. What is in order already costs one pass. */
export function* sortInSteps<Item>(items: readonly Item[], compare: (a: Item, b: Item) => number): Steps<Item[]> {
  let sorted = true;
  for (let i = 1; i < items.length && sorted; i++) {
    sorted = compare(items[i - 1]!, items[i]!) <= 0;
    if (i % STRIDE === 0) yield;
  }
  if (sorted) return items.slice();
  let runs: Item[][] = [];
  for (let start = 0; start < items.length; start += STRIDE / 8) {
    runs.push(items.slice(start, start + STRIDE / 8).sort(compare));
    if (runs.length % 4 === 0) yield;
  }
  while (runs.length > 1) {
    const merged: Item[][] = [];
    for (let i = 0; i < runs.length; i += 2)
      merged.push(i + 1 < runs.length ? yield* mergeInSteps(runs[i]!, runs[i + 1]!, compare) : runs[i]!);
    runs = merged;
  }
  return runs[0] ?? [];
}

/** Merges two sorted lists into one, in steps; of equals, those of `left` come first. */
export function* mergeInSteps<Item>(
  left: readonly Item[],
  right: readonly Item[],
  compare: (a: Item, b: Item) => number,
): Steps<Item[]> {
  const merged: Item[] = [];
  let l = 0;
  let r = 0;
  while (l < left.length || r < right.length) {
    if (r === right.length || (l < left.length && compare(left[l]!, right[r]!) <= 0)) merged.push(left[l++]!);
    else merged.push(right[r++]!);
    if (merged.length % STRIDE === 0) yield;
  }
  return merged;
}

/** Runs steps one after the other, without a pause. */
export function runSteps<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** Runs steps, going back to the event loop whenever `budgetMs` of one turn is spent. */
export async function runStepsGently<Result>(
  steps: Steps<Result>,
  now: () => number,
  budgetMs: number,
): Promise<Result> {
  let start = now();
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
    if (now() - start < budgetMs) continue;
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    start = now();
  }
}
