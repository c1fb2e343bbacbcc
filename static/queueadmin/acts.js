// What an operator does: each act is sent once with an id and answered with done or refused.

import { say } from "./rows.js";
import { words } from "./words.js";

const PATIENCE_MS = 10000;

export class Acts {
  constructor(line) {
    this.line = line;
    this.open = new Map();
  }

  /** Send an act; resolves to true if it was carried out. The answer's words are shown. */
  send(frame) {
    const id = crypto.randomUUID?.() ?? randomId();
    if (!this.line.send({ ...frame, id })) {
      tell(words("notLive"), false);
      return Promise.resolve(false);
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.settle(id, false, words("noAnswer")), PATIENCE_MS);
      this.open.set(id, { resolve, timer });
    });
  }

  /** A frame that answers an act: done, refused, or an error that names none. */
  answered(frame) {
    if (frame.type === "error") {
      for (const id of [...this.open.keys()]) this.settle(id, false, frame.words);
    } else this.settle(frame.id, frame.type === "done", frame.words);
  }

  /** The line is cut: what was under way may or may not have been done. */
  cut() {
    for (const id of [...this.open.keys()]) this.settle(id, false, words("noAnswer"));
  }

  settle(id, done, text) {
    const act = this.open.get(id);
    if (!act) return;
    this.open.delete(id);
    clearTimeout(act.timer);
    tell(text, done);
    act.resolve(done);
  }
}

/** One line that says what became of the last act; screen readers hear it. */
export function tell(text, done) {
  const answer = document.getElementById("answer");
  answer.dataset.done = done;
  say(answer, "");
  say(answer, text);
}

// crypto.randomUUID exists only on https and localhost.
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
