/**
 * The conversation on the page: which turns it shows, and what each frame of the server changes.
 * A conversation is a tree; the page shows the path to its newest leaf.
 */

import { makeId } from "./outbox.js";
import { Path } from "./path.js";
import { Turn } from "./turn.js";
import { words } from "./words.js";

/** A lost answer to `look` is asked for again after this. */
const LOOK_AGAIN = 10_000;

export class Conversation {
  /**
   * @param {HTMLElement} root  the element that holds the turns
   * @param {object} page
   * @param {(frame: object) => boolean} page.send
   * @param {import("./outbox.js").Outbox} page.outbox
   * @param {import("./acks.js").Acks} page.acks
   * @param {(text: string) => void} page.giveBack  a text that is not sent goes to the box
   * @param {() => void} page.changed  some stage or turn changed
   * @param {(id: string) => void} page.named  the new conversation got its id
   */
  constructor(root, id, page) {
    this.path = new Path(root);
    this.id = id;
    this.page = page;
    this.connected = false;
    this.replaced = false;
    this.settle = () => this.turns.forEach((turn) => turn.blocks.settle());
  }

  start() {
    for (const entry of this.page.outbox.entries) {
      if ((entry.conversation ?? "") === this.id || entry.after) this.pend(entry);
    }
    document.addEventListener("selectionchange", this.settle);
  }

  stop() {
    document.removeEventListener("selectionchange", this.settle);
  }

  // -- what is asked of the server -----------------------------------------------------------

  /** A connection is there: say what is shown here. */
  open() {
    this.connected = true;
    for (const turn of this.turns) turn.asked = 0;
    if (!this.id) return;
    const known = this.turns.filter((turn) => turn.final).map((turn) => turn.generation);
    this.page.send({ type: "open", conversation: this.id, known: known.slice(-2000) });
  }

  /** Sends a message as the next turn, or in place of `instead`. */
  say(text, instead = null) {
    const last = instead ? null : this.turns.at(-1);
    const entry = {
      id: makeId(),
      text,
      conversation: this.id || null,
      parent: instead ? instead.parent : (last?.generation ?? null),
      after: last && last.generation === null ? last.promptId : null,
    };
    if (instead) this.replace(instead, text);
    this.pend(entry);
    this.page.outbox.add(entry);
  }

  look(turn) {
    const now = performance.now();
    if (turn.asked && now - turn.asked < LOOK_AGAIN) return;
    turn.asked = now;
    this.page.send({ type: "look", generation: turn.generation });
  }

  // -- turns -----------------------------------------------------------------------------------

  get turns() {
    return this.path.turns;
  }

  pend({ id, text }) {
    const turn = Turn.make(text);
    turn.promptId = id;
    this.path.put(turn, this.turns.length);
    this.mark(this.connected);
  }

  /** Says of unsent messages whether they are on their way. */
  mark(connected) {
    this.connected = connected;
    const name = connected ? "sending" : "unsent";
    for (const turn of this.turns) {
      if (turn.generation === null) turn.showStage({ name, words: words[name] });
    }
    this.page.changed();
  }

  /** Takes a turn and what follows it off the page; held texts other than `text` go to the box. */
  replace(instead, text) {
    const gone = this.path.known(this.turns.indexOf(instead));
    this.path.drop(gone);
    this.replaced = true;
    for (const turn of gone) {
      if (turn.stage.name === "held" && turn.text !== text) this.page.giveBack(turn.text);
    }
  }

  // -- what the server says --------------------------------------------------------------------

  opened({ conversation, path = [] }) {
    if (conversation !== this.id) return;
    this.path.drop(this.turns.filter(({ generation: id }) => id !== null && !path.includes(id)));
  }

  accepted(frame) {
    this.page.outbox.accepted(frame);
    const turn = this.path.pending(frame.id);
    if (!turn || turn.generation !== null) return;
    if (!this.id) {
      this.id = frame.conversation;
      this.page.named(this.id);
    }
    if (this.path.find(frame.generation)) {
      this.path.drop([turn]);
      return;
    }
    // What still stands between it and its parent is another branch.
    const { generation, parent } = frame;
    const place = Math.max(this.path.after(parent), 0);
    this.path.drop(this.path.known(place).filter((other) => other.generation < generation));
    turn.name(generation, parent);
  }

  refused(frame) {
    const entries = this.page.outbox.refused(frame.id);
    const mine = entries.map(({ id }) => this.path.pending(id));
    this.path.drop(mine.filter(Boolean));
    for (const { text } of entries.reverse()) this.page.giveBack(text);
    // A refused second try has taken the first one off the page: get it back.
    if (this.replaced) this.open();
    this.replaced = false;
    this.page.changed();
  }

  snapshot(frame) {
    let turn = this.path.find(frame.generation);
    if (!turn) {
      const place = this.placeOf(frame);
      if (place === null) {
        this.settleUnseen(frame);
        return;
      }
      turn = Turn.make(frame.prompt);
      turn.name(frame.generation, frame.parent);
      this.path.put(turn, place);
    }
    turn.snapshot(frame);
    this.shown(turn);
  }

  /** Where a turn that is new here belongs; null for a branch that is not shown. */
  placeOf({ generation, parent }) {
    const place = this.path.after(parent);
    if (place < 0) {
      this.open();
      return null;
    }
    const [other] = this.path.known(place);
    if (other && other.generation > generation) return null;
    this.path.drop(this.path.known(place));
    return place;
  }

  delta(frame) {
    const turn = this.path.find(frame.generation);
    if (!turn) this.settleUnseen(frame);
    else if (turn.delta(frame)) this.shown(turn, false);
    else this.look(turn);
  }

  staged(frame) {
    const turn = this.path.find(frame.generation);
    if (!turn) this.settleUnseen(frame);
    else if (turn.staged(frame)) this.shown(turn);
    else this.look(turn);
  }

  /** A turn of another branch: nothing to show, but the server should know that it was heard. */
  settleUnseen({ generation, end, final = false }) {
    this.page.acks.shown({ generation, end, final });
  }

  shown(turn, told = true) {
    this.page.acks.shown(turn);
    if (told) this.page.changed();
  }

  get unfinished() {
    return this.turns.some((turn) => turn.unfinished);
  }
}
