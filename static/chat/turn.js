/** One turn on the page: the prompt, the reasoning, the reply's blocks and the line with its stage. */

import { Blocks } from "./blocks.js";

const template = document.getElementById("turn");

export class Turn {
  /** @param {HTMLElement} article  rendered by the server or cloned from its template */
  constructor(article) {
    this.article = article;
    this.bubble = article.querySelector(".bubble");
    this.thoughts = article.querySelector(".thoughts");
    this.stageLine = article.querySelector(".stage");
    this.sign = this.stageLine.querySelector("use");
    this.words = this.stageLine.querySelector(".words");
    this.blocks = new Blocks(article.querySelector(".reply"));
    const { generation, parent, end, final } = article.dataset;
    this.generation = generation ? Number(generation) : null;
    this.parent = parent ? Number(parent) : null;
    this.end = Number(end ?? 0);
    this.final = final !== undefined;
    this.promptId = null;
    this.asked = 0;
    this.stage = { name: this.stageLine.dataset.name, state: this.stageLine.dataset.state };
  }

  static make(text) {
    const turn = new Turn(template.content.firstElementChild.cloneNode(true));
    turn.bubble.textContent = text;
    return turn;
  }

  get text() {
    return this.bubble.textContent;
  }

  get unfinished() {
    return this.generation !== null && !this.final;
  }

  /** This turn is now known to the server. */
  name(generation, parent) {
    this.generation = generation;
    this.parent = parent ?? null;
    this.article.dataset.generation = generation;
    this.article.dataset.parent = parent ?? "";
  }

  setEnd(end) {
    this.end = end;
    this.article.dataset.end = end;
  }

  setFinal() {
    this.final = true;
    this.article.dataset.final = "";
  }

  showStage(stage) {
    this.stage = stage;
    const line = this.stageLine;
    line.dataset.name = stage.name;
    line.dataset.state = stage.state ?? "";
    line.toggleAttribute("data-again", Boolean(stage.again));
    this.sign.setAttribute("href", `#s-${stage.name}`);
    if (this.words.textContent !== stage.words) this.words.textContent = stage.words;
  }

  /** Shows the whole state; what is the same stays untouched. */
  snapshot(frame) {
    this.asked = 0;
    if (this.text !== frame.prompt) this.bubble.textContent = frame.prompt;
    const reasoning = frame.reasoning ?? "";
    if (this.thoughts.textContent !== reasoning) this.thoughts.textContent = reasoning;
    this.blocks.fit(frame.blocks ?? [], frame.open);
    this.setEnd(frame.end);
    this.showStage(frame.stage);
    if (frame.final) this.setFinal();
  }

  /** Appends a delta. False if it does not fit here and the whole has to be looked at. */
  delta(frame) {
    if (frame.offset !== this.end) return frame.end <= this.end;
    for (const part of frame.parts ?? []) {
      if (part.kind === "reasoning") this.thoughts.append(part.text);
      else this.blocks.grow(part);
    }
    for (const block of frame.blocks ?? []) this.blocks.place(block);
    this.setEnd(frame.end);
    return true;
  }

  /** Shows a stage. False if text is missing here and the whole has to be looked at. */
  staged(frame) {
    if (frame.end > this.end) {
      if (!frame.final) this.showStage(frame.stage);
      return false;
    }
    for (const block of frame.blocks ?? []) this.blocks.place(block);
    this.showStage(frame.stage);
    if (frame.final) this.setFinal();
    return true;
  }
}
