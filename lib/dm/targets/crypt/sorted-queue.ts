interface Node<T> {
  key: number;
  item: T;
  level: number;
  left: Node<T> | undefined;
  right: Node<T> | undefined;
}

/**
 * Holds what comes until its turn and then gives all of it in the order of its keys, equal ones in the order of their coming: dm-crypt's
 * write thread and its tree (drivers/md/dm-crypt.c:dmcrypt_write). The tree is balanced as Andersson does (AA tree).
 */
export class SortedQueue<T> {
  readonly #give: (item: T) => void;
  readonly #schedule: (turn: () => void) => void;
  #root: Node<T> | undefined;
  #size = 0;

  /** `schedule` calls back once, later: by default when the event loop has seen all completions of this turn. */
  constructor(give: (item: T) => void, schedule: (turn: () => void) => void = setImmediate) {
    this.#give = give;
    this.#schedule = schedule;
  }

  /** What waits for its turn. */
  get size(): number {
    return this.#size;
  }

  add(key: number, item: T): void {
    this.#size++;
    if (!this.#root) this.#schedule(() => this.#turn());
    this.#root = insert(this.#root, { key, item, level: 1, left: undefined, right: undefined });
  }

  #turn(): void {
    const root = this.#root;
    this.#root = undefined;
    this.#size = 0;
    this.#walk(root);
  }

  #walk(node: Node<T> | undefined): void {
    if (!node) return;
    this.#walk(node.left);
    this.#give(node.item);
    this.#walk(node.right);
  }
}

function insert<T>(node: Node<T> | undefined, fresh: Node<T>): Node<T> {
  if (!node) return fresh;
  if (fresh.key < node.key) node.left = insert(node.left, fresh);
  else node.right = insert(node.right, fresh);
  return split(skew(node));
}

/** A left child of the same level becomes the parent. */
function skew<T>(node: Node<T>): Node<T> {
  const { left } = node;
  if (left?.level !== node.level) return node;
  node.left = left.right;
  left.right = node;
  return left;
}

/** Of three of the same level to the right the middle one goes up. */
function split<T>(node: Node<T>): Node<T> {
  const { right } = node;
  if (right?.right?.level !== node.level) return node;
  node.right = right.left;
  right.left = node;
  right.level++;
  return right;
}
