// What the server has told, kept up to date: a whole board first, then what changed.

const MAPPINGS = ["running", "tokens", "waiting", "workers", "trail"];
const VALUES = ["figures", "order", "held", "alerts"];

export class State {
  constructor() {
    this.board = null;
    this.ahead = 0; // seconds by which the server's clock is ahead of ours
  }

  /** The server's time now, by our own clock. */
  now() {
    return Date.now() / 1000 + this.ahead;
  }

  whole(frame) {
    this.board = frame;
    this.ahead = frame.now - Date.now() / 1000;
  }

  change(frame) {
    for (const name of MAPPINGS) {
      for (const [id, row] of Object.entries(frame[name] ?? {})) {
        if (row === null) delete this.board[name][id];
        else this.board[name][id] = row;
      }
    }
    for (const name of VALUES) if (frame[name] !== undefined) this.board[name] = frame[name];
  }
}
