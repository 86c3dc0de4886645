const pageBytes = 64 * 1024;

/** A body as it comes, in pieces of any size: small ones are joined, or each would cost many times its bytes. */
export class BodyPieces {
  #pages: Buffer[] = [];
  /** The last page while it has room. */
  #open: Buffer | null = null;
  #openBytes = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(piece: Buffer): void {
    if (this.#openBytes + piece.length > pageBytes) this.#close();
    // Most bodies are one piece.
    const isFirst = this.#bytes === 0;
    this.#bytes += piece.length;
    if (isFirst || piece.length > pageBytes / 2) {
      this.#close();
      this.#pages.push(piece);
      return;
    }
    this.#open ??= Buffer.allocUnsafe(pageBytes);
    this.#openBytes += piece.copy(this.#open, this.#openBytes);
  }

  /** All of it in one; nothing is left afterwards. */
  take(): Buffer {
    this.#close();
    const pages = this.#pages;
    this.clear();
    return pages.length === 1 ? pages[0]! : Buffer.concat(pages);
  }

  clear(): void {
    this.#pages = [];
    this.#open = null;
    this.#openBytes = 0;
  }

  #close(): void {
    if (this.#open !== null) this.#pages.push(this.#open.subarray(0, this.#openBytes));
    this.#open = null;
    this.#openBytes = 0;
  }
}
