import type { Verdict } from './resource-update.ts';

/**
 * Takes the responses of one stream one after the other: what follows from one is settled before the next is looked at.
 * Where nothing has to be waited for, all happens inside of `add`.
 */
export class ResponseQueue<Response> {
  readonly #process: (response: Response) => Verdict;
  readonly #finish: (response: Response, error: string) => void;
  #waiting: Response[] = [];
  #busy = false;
  /** Counts streams: a verdict on the response of a former one is of no interest to its server. */
  #stream = 0;

  /** `finish` is called with the verdict, unless the stream has ended meanwhile. */
  constructor(process: (response: Response) => Verdict, finish: (response: Response, error: string) => void) {
    this.#process = process;
    this.#finish = finish;
  }

  /** A response is being processed. */
  get isBusy(): boolean {
    return this.#busy;
  }

  add(response: Response): void {
    this.#waiting.push(response);
    if (!this.#busy) this.#run();
  }

  /** The stream is gone, and with it what it had brought and nobody has looked at. */
  reset(): void {
    this.#stream++;
    this.#waiting = [];
  }

  #run(): void {
    for (let response = this.#waiting.shift(); response !== undefined; response = this.#waiting.shift()) {
      this.#busy = true;
      const verdict = this.#process(response);
      if (typeof verdict !== 'string') {
        const stream = this.#stream;
        const processed = response;
        void verdict.then((error) => {
          this.#busy = false;
          if (stream === this.#stream) this.#finish(processed, error);
          this.#run();
        });
        return;
      }
      this.#busy = false;
      this.#finish(response, verdict);
    }
  }
}
