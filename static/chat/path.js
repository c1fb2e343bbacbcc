/**
 * The turns on the page, first to newest: one path through the conversation's tree, and at its end the
 * messages that the server does not know yet.
 */

import { Turn } from "./turn.js";

export class Path {
  /** @param {HTMLElement} root  holds the turns that the server rendered */
  constructor(root) {
    this.root = root;
    this.turns = Array.from(root.children, (article) => new Turn(article));
  }

  find(generation) {
    return this.turns.find((turn) => turn.generation === generation);
  }

  /** The turn of a message by the id that this page gave it. */
  pending(promptId) {
    return this.turns.find((turn) => turn.promptId === promptId);
  }

  /** The place behind a turn; 0 without one, -1 if it is not shown. */
  after(parent) {
    if (!parent) return 0;
    const place = this.turns.findIndex((turn) => turn.generation === parent);
    return place < 0 ? -1 : place + 1;
  }

  /** The turns from `place` on that the server knows. */
  known(place) {
    return this.turns.slice(place).filter((turn) => turn.generation !== null);
  }

  put(turn, place) {
    this.root.insertBefore(turn.article, this.root.children[place] ?? null);
    this.turns.splice(place, 0, turn);
  }

  drop(gone) {
    for (const turn of gone) turn.article.remove();
    this.turns = this.turns.filter((turn) => !gone.includes(turn));
  }
}
