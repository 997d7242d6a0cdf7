import type { HcmModel } from '../../config/hcm-model.ts';
import type { Dispatcher } from '../dispatcher.ts';
import { HeaderClass, responseHeaderClass } from './header-class.ts';
import type { HeaderMap } from './headers.ts';
import { isTunnel } from './upgrade.ts';

/** What the HCM does to every response just before it is written (Envoy's mutateResponseHeaders and around it). */
export class ResponseHeaders {
  readonly #model: HcmModel;
  readonly #dispatcher: Dispatcher;
  #date = '';
  #dateSecond = -1;

  constructor(model: HcmModel, dispatcher: Dispatcher) {
    this.#model = model;
    this.#dispatcher = dispatcher;
  }

  /** `close`: the connection ends after this response, and an HTTP/1 client is told so. */
  mutate(headers: HeaderMap, requestHeaders: HeaderMap, close: boolean): void {
    const model = this.#model;
    const upgrade = headers.status === 101;
    cleanResponse(headers, upgrade);
    if (!headers.has('date')) headers.append('date', this.#now());
    const { serverHeaderTransformation: transformation } = model;
    if (transformation === 'overwrite' || (transformation === 'append-if-absent' && !headers.has('server')))
      headers.set('server', model.serverName);
    if (model.alwaysSetRequestIdInResponse || requestHeaders.has('x-envoy-force-trace')) {
      const id = requestHeaders.get('x-request-id');
      if (id !== undefined) headers.set('x-request-id', id);
    }
    if (model.via !== '') appendVia(headers, model.via);
    if (close && !isTunnel(requestHeaders.method, headers.status)) headers.set('connection', 'close');
  }

  #now(): string {
    const second = Math.floor(this.#dispatcher.epochNow / 1000);
    if (second !== this.#dateSecond) {
      this.#dateSecond = second;
      this.#date = new Date(second * 1000).toUTCString();
    }
    return this.#date;
  }
}

/** Appends `via` to the header of that name (RFC 9110 section 7.6.3). */
export function appendVia(headers: HeaderMap, via: string): void {
  const received = headers.get('via');
  headers.set('via', received === undefined || received === '' ? via : `${received}, ${via}`);
}

/** Takes out hop-by-hop fields and joins the fields that Envoy keeps one value of. */
function cleanResponse(headers: HeaderMap, upgrade: boolean): void {
  const { names, values, originalNames } = headers;
  let kept = 0;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    const kind = responseHeaderClass(name);
    if (kind === HeaderClass.HopByHop) continue;
    if ((kind === HeaderClass.Connection || kind === HeaderClass.Upgrade) && !upgrade) continue;
    if (kind === HeaderClass.Single) {
      const first = names.indexOf(name);
      if (first < kept) {
        values[first] = `${values[first]!},${values[i]!}`;
        continue;
      }
    }
    if (kept !== i) {
      names[kept] = name;
      values[kept] = values[i]!;
      if (originalNames !== undefined) originalNames[kept] = originalNames[i]!;
    }
    kept++;
  }
  headers.truncate(kept);
}
