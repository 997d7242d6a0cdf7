import type { HeaderMutationModel, HeaderValueOptionModel } from '../../config/common-model.ts';
import type { Headers } from '../../filters/headers.ts';
import type { StreamInfo } from '../../filters/stream-info.ts';
import type { FormatContext, TextFormatter } from '../../telemetry/access-log/access-log.ts';
import { compileHeaderValue } from '../../telemetry/access-log/format.ts';
import type { HeaderMap } from '../http/headers.ts';

/** What one level (configuration, virtual host, route, weighted cluster) does to headers (Envoy's HeaderParser). */
export class HeaderMutation {
  readonly #remove: readonly string[];
  readonly #options: readonly CompiledOption[];
  /** The values of this evaluation, by option; undefined = skip. Kept between calls, which never nest. */
  readonly #values: (string | undefined)[];

  private constructor(model: HeaderMutationModel, inlineNames: ReadonlySet<string>) {
    this.#remove = model.remove;
    this.#options = model.add.map((option) => new CompiledOption(option, inlineNames.has(option.name)));
    this.#values = model.add.map(() => undefined);
  }

  /** Undefined: this level changes nothing. `inlineNames`: of requests or of responses, see inline-headers.ts. */
  static of(model: HeaderMutationModel, inlineNames: ReadonlySet<string>): HeaderMutation | undefined {
    return model.remove.length === 0 && model.add.length === 0 ? undefined : new HeaderMutation(model, inlineNames);
  }

  /**
   * Removes, then evaluates every value against what is left, then overwrites, then appends, in this order as Envoy
   * does: no value sees what another one changed.
   */
  apply(headers: HeaderMap, context: FormatContext): void {
    const remove = this.#remove;
    for (let i = 0; i < remove.length; i++) headers.delete(remove[i]!);
    const options = this.#options;
    const values = this.#values;
    for (let i = 0; i < options.length; i++) values[i] = options[i]!.evaluate(headers, context);
    for (let i = 0; i < options.length; i++) {
      const value = values[i];
      const option = options[i]!;
      if (value === undefined || !option.overwrites) continue;
      headers.delete(option.name);
      headers.append(option.name, value);
    }
    for (let i = 0; i < options.length; i++) {
      const value = values[i];
      const option = options[i]!;
      if (value !== undefined && !option.overwrites) option.append(headers, value);
    }
  }
}

class CompiledOption {
  readonly name: string;
  readonly overwrites: boolean;
  readonly #onlyIfAbsent: boolean;
  readonly #onlyIfPresent: boolean;
  readonly #keepEmpty: boolean;
  readonly #literal: string | undefined;
  readonly #formatter: TextFormatter;
  readonly #joins: boolean;

  /** `joins`: a further value is joined to the first with a comma. */
  constructor(model: HeaderValueOptionModel, joins: boolean) {
    this.name = model.name;
    this.overwrites = model.appendAction.startsWith('overwrite');
    this.#onlyIfAbsent = model.appendAction === 'add-if-absent';
    this.#onlyIfPresent = model.appendAction === 'overwrite-if-exists';
    this.#keepEmpty = model.keepEmptyValue;
    this.#formatter = compileHeaderValue(model.value);
    this.#literal = this.#formatter.literal;
    this.#joins = joins;
  }

  append(headers: HeaderMap, value: string): void {
    const before = this.#joins ? headers.get(this.name) : undefined;
    if (before === undefined) headers.append(this.name, value);
    else headers.set(this.name, before === '' ? value : `${before},${value}`);
  }

  evaluate(headers: HeaderMap, context: FormatContext): string | undefined {
    const value = this.#literal ?? this.#formatter.format(context);
    if (value === '' && !this.#keepEmpty) return undefined;
    if (this.#onlyIfAbsent && headers.has(this.name)) return undefined;
    return this.#onlyIfPresent && !headers.has(this.name) ? undefined : value;
  }
}

/** What values are formatted from; one object for all requests of a route table, filled in for each evaluation. */
export class MutationContext implements FormatContext {
  info: StreamInfo = NO_INFO;
  requestHeaders: Headers | undefined = undefined;
  responseHeaders: Headers | undefined = undefined;
  readonly responseTrailers = undefined;
  readonly localReplyBody = '';
  readonly accessLogType = 'NotSet';

  /** Lets go of the stream. */
  clear(): void {
    this.info = NO_INFO;
    this.requestHeaders = undefined;
    this.responseHeaders = undefined;
  }
}

/** Stands where no evaluation is going on; nothing reads it. */
const NO_INFO = undefined as unknown as StreamInfo;
