import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';

/** What a shell returns for a command that is not there, or can't be run. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;
/** Plus the signal's number: what a shell returns for a command that a signal ended. */
const SIGNALLED = 128;

/** The application that `outrigger exec` runs beside the proxy, on the same terminal. */
export class AppProcess {
  /** Its exit status, as a shell would tell it. Never rejects. */
  readonly ended: Promise<number>;
  readonly #child: ChildProcess;

  /** `onError`: why it could not be started. */
  constructor([command, ...args]: readonly [string, ...string[]], onError: (message: string) => void) {
    this.#child = spawn(command, args, { stdio: 'inherit' });
    this.ended = new Promise((resolve) => {
      this.#child.on('error', (error: NodeJS.ErrnoException) => {
        // A signal that could not be sent is an error too.
        if (this.#child.pid !== undefined) return;
        onError(error.code === 'ENOENT' ? `there is no command '${command}'` : error.message);
        resolve(error.code === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE);
      });
      this.#child.on('exit', (code, signal) => resolve(code ?? SIGNALLED + constants.signals[signal!]));
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}
