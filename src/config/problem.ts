/** One thing that is wrong with a config, or that it asks for and we lack. */
export interface Problem {
  /** `error` refuses the resource; `unsupported` names a field or extension that is set and not implemented. */
  readonly severity: 'error' | 'unsupported';
  /** Field path from the root of the resource, in proto names: `static_resources.clusters[3].lb_policy`. */
  readonly path: string;
  readonly message: string;
  /** Where it stands in the file, if it came from one (1-based). Filled in by the loader from `path`. */
  readonly position?: { readonly file: string; readonly line: number; readonly column: number };
}

/** Collects problems while a builder walks a message. `at('field')` and `at(3)` descend. */
export class Problems {
  readonly list: Problem[];
  readonly path: string;

  constructor(path = '', list: Problem[] = []) {
    this.path = path;
    this.list = list;
  }

  /** The same collection, one step down: a field name, or an index. */
  at(step: string | number): Problems {
    const path = typeof step === 'number' ? `${this.path}[${step}]` : this.path === '' ? step : `${this.path}.${step}`;
    return new Problems(path, this.list);
  }

  error(message: string): void {
    this.list.push({ severity: 'error', path: this.path, message });
  }

  /** Names a set-but-unimplemented field or extension; `what` is appended to the path when it is a field below it. */
  unsupported(field: string, message = 'is not implemented'): void {
    this.list.push({ severity: 'unsupported', path: this.at(field).path, message });
  }

  get hasErrors(): boolean {
    return this.list.some((problem) => problem.severity === 'error');
  }
}
