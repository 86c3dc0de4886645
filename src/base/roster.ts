/** Something that keeps its own place in a roster. */
export interface Rostered {
  /** -1 where it is in none. */
  rosterAt: number;
}

/**
 * A set, in no order, of what comes and goes by the thousand. A `Set` or `Map` would keep what has left it: each time that
 * V8 makes its table anew the old one goes on pointing to its members of that moment and to the next table, and once one of
 * them has outlived two collections, so does all that follows, until the whole heap is gone through.
 */
export class Roster<Member extends Rostered> implements Iterable<Member> {
  readonly #members: Member[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: Member): void {
    if (member.rosterAt < 0) member.rosterAt = this.#members.push(member) - 1;
  }

  delete(member: Member): void {
    const at = member.rosterAt;
    if (at < 0) return;
    const last = this.#members.pop()!;
    if (last !== member) {
      this.#members[at] = last;
      last.rosterAt = at;
    }
    member.rosterAt = -1;
  }

  /** Those that are there now: they may leave while they are gone through. */
  [Symbol.iterator](): IterableIterator<Member> {
    return this.#members.slice().values();
  }
}
