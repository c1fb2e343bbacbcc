/** Tells the server what has been shown: how far now and then, how it ended at once. */

/** The server allows 240 frames a minute; ends in between are only a courtesy. */
const EVERY = 1_000;
const SOON = 50;

export class Acks {
  /** @param {(frame: object) => boolean} send */
  constructor(send) {
    this.send = send;
    this.due = new Map();
    this.timer = null;
    this.at = 0;
  }

  /** @param {{generation: number, end: number, final: boolean}} turn */
  shown({ generation, end, final }) {
    this.due.set(generation, { type: "ack", generation, end, final });
    this.plan(performance.now() + (final ? SOON : EVERY));
  }

  plan(at) {
    if (this.timer !== null && this.at <= at) return;
    clearTimeout(this.timer);
    this.at = at;
    this.timer = setTimeout(() => this.flush(), at - performance.now());
  }

  flush() {
    this.timer = null;
    for (const frame of this.due.values()) this.send(frame);
    this.due.clear();
  }
}
