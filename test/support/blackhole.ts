import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { eventually } from './eventually.ts';

const BLOCKED = `
const { parentPort } = require('node:worker_threads');
const server = require('node:net').createServer();
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  parentPort.postMessage(server.address().port);
  setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 5);
});`;

/** A port on the loopback interface on which connecting neither succeeds nor fails: nobody accepts, and the queue is full. */
export class Blackhole implements AsyncDisposable {
  readonly port: number;
  readonly #worker: Worker;
  readonly #fillers: readonly Socket[];

  private constructor(port: number, worker: Worker, fillers: readonly Socket[]) {
    this.port = port;
    this.#worker = worker;
    this.#fillers = fillers;
  }

  static async open(): Promise<Blackhole> {
    const worker = new Worker(BLOCKED, { eval: true });
    const [port] = (await once(worker, 'message')) as [number];
    await new Promise((resolve) => setTimeout(resolve, 20));
    const fillers: Socket[] = [];
    for (let full = false; !full;) {
      const socket = connect({ port, host: '127.0.0.1' });
      socket.on('error', () => {});
      fillers.push(socket);
      full = await eventually('a connection', () => !socket.connecting, 50).then(
        () => false,
        () => true,
      );
    }
    return new Blackhole(port, worker, fillers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#fillers) socket.destroy();
    await this.#worker.terminate();
  }
}
