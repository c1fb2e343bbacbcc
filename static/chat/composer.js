/** The box: sends on Enter, grows with its text, and keeps what was typed over a reload. */

import { isSend } from "./keys.js";
import { load, save } from "./store.js";

export class Composer {
  /** @param {HTMLFormElement} form  @param {(text: string) => void} send */
  constructor(form, send) {
    this.form = form;
    this.send = send;
    this.box = form.querySelector("textarea");
    this.button = form.querySelector("button");
    this.pressed = this.pressed.bind(this);
    this.typed = this.typed.bind(this);
    this.submitted = this.submitted.bind(this);
  }

  /** @param {string} conversation  whose draft this is; "" for a new one */
  start(conversation) {
    this.use(conversation);
    if (!this.box.value) this.box.value = load(this.key, "");
    this.box.addEventListener("keydown", this.pressed);
    this.box.addEventListener("input", this.typed);
    this.form.addEventListener("submit", this.submitted);
    this.button.disabled = false;
    this.typed();
  }

  stop() {
    this.box.removeEventListener("keydown", this.pressed);
    this.box.removeEventListener("input", this.typed);
    this.form.removeEventListener("submit", this.submitted);
  }

  /** From here on the box writes to this conversation. */
  use(conversation) {
    const before = this.key;
    this.key = `draft ${conversation}`;
    if (!before) return;
    save(before, "");
    save(this.key, this.box.value);
  }

  pressed(event) {
    if (!isSend(event)) return;
    event.preventDefault();
    this.form.requestSubmit();
  }

  typed() {
    save(this.key, this.box.value);
    this.button.setAttribute("aria-disabled", String(!this.box.value.trim()));
    if (CSS.supports("field-sizing", "content")) return;
    this.box.style.height = "auto";
    this.box.style.height = `${this.box.scrollHeight}px`;
  }

  submitted(event) {
    event.preventDefault();
    const text = this.box.value;
    if (!text.trim()) return;
    this.set("");
    this.send(text);
  }

  set(text) {
    this.box.value = text;
    this.typed();
  }

  /** Puts a text that was not sent back, before what has been typed since. */
  giveBack(text) {
    const since = this.box.value;
    this.set(since.trim() && since !== text ? `${text}\n\n${since}` : text);
  }

  focus() {
    this.box.focus();
    this.box.setSelectionRange(this.box.value.length, this.box.value.length);
  }
}
