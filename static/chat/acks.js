/**
 * Tells the server what has been shown: how it ended at once, how far every second or 64 KiB. The
 * server stops sending to a page that is 256 KiB behind, so this must not hang on a timer alone: a
 * hidden page's timers are held back, what it hears is not.
 */

const EVERY = 1_000;
const SOON = 50;
const MUCH = 64 * 1024;

export class Acks {
  /** @param {(frame: object) => boolean} send */
  constructor(send) {
    this.send = send;
    this.due = new Map();
    this.timer = null;
    this.at = 0;
    this.sent = 0;
    this.heardSince = 0;
  }

  /** @param {{generation: number, end: number, final: boolean}} turn */
  shown({ generation, end, final }) {
    this.due.set(generation, { type: "ack", generation, end, final });
    this.plan(performance.now() + (final ? SOON : EVERY));
  }

  /** @param {number} size  of a frame that was heard and shown */
  heard(size) {
    this.heardSince += size;
    const late = performance.now() - this.sent >= EVERY;
    if (this.due.size && (late || this.heardSince >= MUCH)) this.flush();
  }

  plan(at) {
    if (this.timer !== null && this.at <= at) return;
    clearTimeout(this.timer);
    this.at = at;
    this.timer = setTimeout(() => this.flush(), at - performance.now());
  }

  flush() {
    clearTimeout(this.timer);
    this.timer = null;
    this.sent = performance.now();
    this.heardSince = 0;
    for (const frame of this.due.values()) this.send(frame);
    this.due.clear();
  }
}
