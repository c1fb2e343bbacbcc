/** Tells the reader's other senses where replies stand: the tab's title and the screen reader. */

import { place } from "./words.js";

const RUNNING = ["preparing", "thinking", "generating", "continuing"];

export class StateTeller {
  /** @param {HTMLElement} said  a polite live region */
  constructor(said) {
    this.said = said;
    this.title = document.title;
    this.told = new Map();
    this.news = false;
  }

  start() {
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.news = false;
      this.show();
    });
  }

  say(text) {
    this.said.textContent = text;
  }

  rename(title) {
    this.title = `${title} · Chatsite`;
    this.show();
  }

  /** A stage is announced when it changes, a position when it changes, a wait's length never. */
  update(turns) {
    for (const { generation, stage, final } of turns) {
      const key = `${stage.name} ${stage.position ?? ""}`;
      const before = this.told.get(generation);
      if (generation === null || before === key) continue;
      this.told.set(generation, key);
      if (before === undefined && final) continue;
      this.say(stage.words);
      if (final && document.visibilityState === "hidden") this.news = true;
    }
    this.turns = turns;
    this.show();
  }

  show() {
    const unfinished = (this.turns ?? []).filter((turn) => turn.unfinished);
    const waiting = unfinished.find((turn) => turn.stage.position);
    let sign = this.news ? "✓ " : "";
    if (waiting) sign = `(${place(waiting.stage.position)}) `;
    if (unfinished.some((turn) => RUNNING.includes(turn.stage.name))) sign = "● ";
    const title = sign + this.title;
    if (document.title !== title) document.title = title;
  }
}
