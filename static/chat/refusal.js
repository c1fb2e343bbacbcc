/** A message that was not taken: says why beside the box, and counts down to when it may go again. */

import { fill, words } from "./words.js";

export class Refusal {
  /** @param {import("./notice.js").Notice} notice  @param {() => void} submit  sends the box */
  constructor(notice, submit) {
    this.notice = notice;
    this.submit = submit;
  }

  show({ words: said, retry = 0 }) {
    clearInterval(this.timer);
    let left = retry;
    const tell = () => {
      const label = left > 0 ? fill(words.sendAgainIn, { n: left }) : words.sendAgain;
      const button = retry ? { label, run: this.submit, blocked: left > 0 } : {};
      this.notice.set("refusal", { words: said, kind: "error", ...button });
      if (left-- <= 0) clearInterval(this.timer);
    };
    tell();
    if (retry) this.timer = setInterval(tell, 1_000);
  }

  clear() {
    clearInterval(this.timer);
    this.notice.set("refusal", null);
  }
}
