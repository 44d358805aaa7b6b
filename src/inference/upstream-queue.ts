/**
 * First in, first out, for tokens that wait for a grant: also for the many words of one large body, where `Array.shift`
 * would move all of them each time. Memory is given back when the queue runs empty; its user bounds its length.
 */

export class TokenQueue {
  #tokens: string[] = [];
  #head = 0;

  get length(): number {
    return this.#tokens.length - this.#head;
  }

  push(token: string): void {
    this.#tokens.push(token);
  }

  shift(): string | undefined {
    const token = this.#tokens[this.#head];
    if (token !== undefined) this.#head += 1;
    if (this.#head === this.#tokens.length) this.clear();
    return token;
  }

  clear(): void {
    this.#tokens = [];
    this.#head = 0;
  }
}
