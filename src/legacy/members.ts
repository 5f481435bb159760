/** Above this, looking for one in an array costs more than the memory of a Set. */
const ARRAY_MAX = 64;

/** The members of one group: an array while it is small, which costs a fifth of a Set. */
export class Members<Member> {
  #members: Member[] | Set<Member> = [];

  get size(): number {
    return Array.isArray(this.#members) ? this.#members.length : this.#members.size;
  }

  has(member: Member): boolean {
    return Array.isArray(this.#members) ? this.#members.includes(member) : this.#members.has(member);
  }

  /** Whether it was not there before. */
  add(member: Member): boolean {
    if (this.has(member)) return false;
    if (Array.isArray(this.#members)) {
      this.#members.push(member);
      if (this.#members.length > ARRAY_MAX) this.#members = new Set(this.#members);
    } else {
      this.#members.add(member);
    }
    return true;
  }

  /** Whether it was there. */
  delete(member: Member): boolean {
    const members = this.#members;
    if (!Array.isArray(members)) {
      const was = members.delete(member);
      if (members.size <= ARRAY_MAX / 2) this.#members = [...members];
      return was;
    }
    const at = members.indexOf(member);
    if (at < 0) return false;
    members.splice(at, 1);
    return true;
  }

  values(): Iterable<Member> {
    return this.#members;
  }
}
