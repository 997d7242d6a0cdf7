import { Timer, type TimerTask } from '../../../lib/timer-wheel.ts';
import type { Random } from '../../../lib/random.ts';
import type { Http2KeepaliveModel } from '../../../config/cluster-model.ts';
import type { Dispatcher } from '../../dispatcher.ts';

/** Who sends the PINGs and closes the connection. */
export interface KeepaliveOwner {
  sendPing(): void;
  onKeepaliveTimeout(): void;
}

/**
 * PINGs that show whether the peer is still there (core.v3.KeepaliveSettings): every `interval` with its jitter, and
 * before a stream on a connection that was silent for `connection_idle_interval`. While one is not answered, any frame
 * of the peer buys it another `timeout`.
 */
export class Keepalive implements TimerTask {
  readonly #model: Http2KeepaliveModel;
  readonly #dispatcher: Dispatcher;
  readonly #random: Random;
  readonly #owner: KeepaliveOwner;
  readonly #intervalTimer = new Timer(this);
  readonly #timeoutTimer = new Timer(this);
  #waiting = false;
  #lastReceived: number;

  constructor(model: Http2KeepaliveModel, dispatcher: Dispatcher, random: Random, owner: KeepaliveOwner) {
    this.#model = model;
    this.#dispatcher = dispatcher;
    this.#random = random;
    this.#owner = owner;
    this.#lastReceived = dispatcher.now;
    this.#armInterval();
  }

  /** Bytes came. */
  onData(): void {
    this.#lastReceived = this.#dispatcher.now;
  }

  /** A frame came, which is not the answer to a PING. */
  onFrame(): void {
    if (this.#waiting) this.#dispatcher.arm(this.#timeoutTimer, this.#model.timeoutMs);
  }

  onPingAck(): void {
    this.#waiting = false;
    this.#dispatcher.disarm(this.#timeoutTimer);
    this.#armInterval();
  }

  /** A stream is about to start. */
  onNewStream(): void {
    const { connectionIdleIntervalMs } = this.#model;
    if (connectionIdleIntervalMs > 0 && this.#dispatcher.now - this.#lastReceived > connectionIdleIntervalMs)
      this.#send();
  }

  onTimer(timer: Timer): void {
    if (timer === this.#timeoutTimer) {
      if (!this.#waiting) return;
      this.close();
      this.#owner.onKeepaliveTimeout();
    } else this.#send();
  }

  close(): void {
    this.#waiting = false;
    this.#dispatcher.disarm(this.#intervalTimer);
    this.#dispatcher.disarm(this.#timeoutTimer);
  }

  #send(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    this.#owner.sendPing();
    this.#dispatcher.arm(this.#timeoutTimer, this.#model.timeoutMs);
  }

  #armInterval(): void {
    const { intervalMs, jitterPercent } = this.#model;
    if (intervalMs === 0) return;
    const jitter = Math.floor((intervalMs * jitterPercent) / 100);
    this.#dispatcher.arm(this.#intervalTimer, intervalMs + (jitter > 0 ? this.#random.below(jitter) : 0));
  }
}
