import type { Attempt } from './attempt.ts';

/** Passes the downstream's backpressure to the attempt that answers; what comes before there is one is kept for it. */
export class ResponseFlow {
  #attempt: Attempt | undefined = undefined;
  #earlyPauses = 0;

  pause(): void {
    if (this.#attempt === undefined) this.#earlyPauses++;
    else this.#attempt.pauseResponse();
  }

  resume(): void {
    if (this.#earlyPauses > 0) this.#earlyPauses--;
    else this.#attempt?.resumeResponse();
  }

  /** The response comes from `attempt`. */
  begin(attempt: Attempt): void {
    this.#attempt = attempt;
    for (; this.#earlyPauses > 0; this.#earlyPauses--) attempt.pauseResponse();
  }
}
