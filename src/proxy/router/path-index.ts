const SLASH = 47;

/**
 * The routes of a virtual host by the start of their path: a radix tree of exact paths and prefixes, so that finding a
 * path's candidates costs by the length of the path and not by the number of routes.
 */
export class PathIndex {
  readonly #foldCase: boolean;
  readonly #root = new PathNode('');
  /** True: nothing was added. */
  isEmpty = true;

  /** `foldCase`: paths match whatever their case (ASCII). */
  constructor(foldCase: boolean) {
    this.#foldCase = foldCase;
  }

  /**
   * Adds route number `route`. Routes must come in ascending order. 'separated' is a prefix that only whole path
   * segments follow.
   */
  add(kind: 'exact' | 'prefix' | 'separated', path: string, route: number): void {
    this.isEmpty = false;
    const node = this.#root.descend(this.#foldCase ? path.toLowerCase() : path);
    (node[kind] ??= []).push(route);
  }

  /**
   * Puts the lists of routes that `path[0, end)` may take into `lists` from position `count`; returns the new count.
   * Each list is in ascending order.
   */
  collect(path: string, end: number, lists: (readonly number[])[], count: number): number {
    let node = this.#root;
    let at = 0;
    for (;;) {
      if (node.prefix !== undefined) lists[count++] = node.prefix;
      if (at === end) {
        if (node.exact !== undefined) lists[count++] = node.exact;
        if (node.separated !== undefined) lists[count++] = node.separated;
        return count;
      }
      const code = this.#codeAt(path, at);
      if (node.separated !== undefined && code === SLASH) lists[count++] = node.separated;
      const child = node.child(code);
      if (child === undefined) return count;
      const label = child.label;
      const next = at + label.length;
      if (next > end) return count;
      for (let i = 1; i < label.length; i++) if (this.#codeAt(path, at + i) !== label.charCodeAt(i)) return count;
      at = next;
      node = child;
    }
  }

  #codeAt(path: string, at: number): number {
    const code = path.charCodeAt(at);
    return this.#foldCase && code >= 65 && code <= 90 ? code + 32 : code;
  }
}

/** A node of the tree. `label` is the text on the edge that leads to it; its first character tells it from its siblings. */
class PathNode {
  label: string;
  prefix: number[] | undefined = undefined;
  separated: number[] | undefined = undefined;
  exact: number[] | undefined = undefined;
  /** Children by the first character of their label, from `#first` on. */
  #first = 0;
  #children: (PathNode | undefined)[] = [];

  constructor(label: string) {
    this.label = label;
  }

  child(code: number): PathNode | undefined {
    const slot = code - this.#first;
    return slot >= 0 && slot < this.#children.length ? this.#children[slot] : undefined;
  }

  /** The node that `path` leads to from here, made if need be. */
  descend(path: string): PathNode {
    if (path === '') return this;
    const child = this.child(path.charCodeAt(0));
    if (child === undefined) {
      const leaf = new PathNode(path);
      this.#setChild(leaf);
      return leaf;
    }
    const { label } = child;
    let shared = 1;
    while (shared < label.length && shared < path.length && label[shared] === path[shared]) shared++;
    if (shared === label.length) return child.descend(path.slice(shared));
    const middle = new PathNode(label.slice(0, shared));
    child.label = label.slice(shared);
    middle.#setChild(child);
    this.#setChild(middle);
    return middle.descend(path.slice(shared));
  }

  #setChild(node: PathNode): void {
    const code = node.label.charCodeAt(0);
    const children = this.#children;
    if (children.length === 0) this.#first = code;
    for (; code < this.#first; this.#first--) children.unshift(undefined);
    while (code - this.#first >= children.length) children.push(undefined);
    children[code - this.#first] = node;
  }
}
