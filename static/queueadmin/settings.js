// A number that operators set, with its field and, for the limit, − and +. What the server holds
// wins, except while somebody is typing.

import { tell } from "./acts.js";
import { number, words } from "./words.js";

export class Setting {
  /** `frame` is the act without value and seen. */
  constructor(form, acts, frame = { type: "set", name: form.dataset.setting }) {
    this.name = form.dataset.setting;
    this.frame = frame;
    this.form = form;
    this.field = form.querySelector("input");
    this.acts = acts;
    this.stored = null; // as the server last said
    this.wanted = null; // what was asked for and is not answered yet
    this.busy = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.commit();
    });
    this.field.addEventListener("change", () => this.commit());
    this.field.addEventListener("keydown", (event) => event.key === "Escape" && this.reset());
    for (const button of form.querySelectorAll("[data-step]")) {
      button.addEventListener("click", () => this.step(Number(button.dataset.step)));
    }
  }

  /** The server's value. */
  show(value, may) {
    this.stored = value;
    for (const control of this.form.elements) control.disabled = !may;
    const typing = document.activeElement === this.field && this.field.value !== this.shown;
    if (!typing && this.wanted === null) this.reset();
    const down = this.form.querySelector('[data-step="-1"]');
    if (down && may) down.disabled = (this.wanted ?? value) <= Number(this.field.min);
  }

  reset() {
    this.field.value = this.shown = String(this.stored ?? "");
  }

  step(by) {
    const value = (this.wanted ?? this.stored) + by;
    if (value >= Number(this.field.min) && value <= Number(this.field.max)) this.want(value);
  }

  commit() {
    const value = Number(this.field.value);
    if (this.field.value === this.shown) return;
    // 0 goes to the server, which knows what to say about it.
    if (this.field.value === "" || !Number.isSafeInteger(value)) {
      const { min, max } = this.field;
      tell(words("whole", { min: number(min), max: number(max) }), false);
      this.reset();
    } else this.want(value);
  }

  want(value) {
    this.wanted = value;
    this.field.value = this.shown = String(value);
    if (!this.busy) this.work();
  }

  /** One act at a time: clicks that come meanwhile become one act with the last value. */
  async work() {
    this.busy = true;
    while (this.wanted !== null && this.wanted !== this.stored) {
      const value = this.wanted;
      const done = await this.acts.send({ ...this.frame, value, seen: this.stored });
      if (done) this.stored = value;
      if (!done || this.wanted === value) break;
    }
    this.wanted = null;
    this.busy = false;
    this.reset();
  }
}
