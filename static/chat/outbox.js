/**
 * Messages on their way: each is kept, over reloads, until the server accepts or refuses it. Sending
 * one again is harmless, since the server knows its id.
 */

import { load, save } from "./store.js";

const KEY = "outbox";
/** A server that has not answered a message within this is asked again over a new connection. */
export const ANSWER = 8_000;

/** A random UUID; crypto.randomUUID is missing where the page did not come over https. */
export function makeId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} text
 * @property {string|null} conversation  null: a new one
 * @property {number|null} parent
 * @property {string|null} after  id of the message that has to be accepted first
 */

export class Outbox {
  /** @param {(frame: object) => boolean} send */
  constructor(send) {
    this.send = send;
    /** @type {Entry[]} */
    this.entries = load(KEY, []);
    this.sent = new Map();
  }

  add(entry) {
    this.entries.push(entry);
    save(KEY, this.entries);
    this.flush();
  }

  /** A new connection: everything is sent again. */
  connected() {
    this.sent.clear();
    this.flush();
  }

  flush() {
    for (const { id, text, conversation, parent, after } of this.entries) {
      if (after || this.sent.has(id)) continue;
      const frame = { type: "prompt", id, text };
      if (conversation) frame.conversation = conversation;
      if (parent) frame.parent = parent;
      if (!this.send(frame)) return;
      this.sent.set(id, performance.now());
    }
  }

  /** Whether an answer is due. */
  waiting() {
    return this.sent.size > 0;
  }

  /** The message is stored: what waited for it can go. */
  accepted({ id, conversation, generation }) {
    for (const entry of this.entries) {
      if (entry.after !== id) continue;
      Object.assign(entry, { after: null, conversation, parent: generation });
    }
    this.remove([id]);
    this.flush();
  }

  /** Takes out a refused message and all that waited for it. @returns {Entry[]} */
  refused(id) {
    const out = [];
    const ids = [id];
    for (const entry of this.entries) {
      if (!ids.includes(entry.id) && !ids.includes(entry.after)) continue;
      ids.push(entry.id);
      out.push(entry);
    }
    this.remove(ids);
    return out;
  }

  remove(ids) {
    this.entries = this.entries.filter((entry) => !ids.includes(entry.id));
    for (const id of ids) this.sent.delete(id);
    save(KEY, this.entries);
  }
}
