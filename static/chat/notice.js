/** The line above the box: what is wrong, and the button that does something about it. */

const SOURCES = ["connection", "refusal"];

export class Notice {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this.words = element.querySelector(".notice-words");
    this.button = element.querySelector("button");
    this.now = new Map();
  }

  start() {
    this.button.addEventListener("click", () => this.run?.());
  }

  /**
   * @param {"connection"|"refusal"} source
   * @param {{words: string, kind?: string, label?: string, run?: () => void, blocked?: boolean}|null} said
   */
  set(source, said) {
    if (said) this.now.set(source, said);
    else this.now.delete(source);
    this.show(this.now.get(SOURCES.find((name) => this.now.has(name))));
  }

  show(said) {
    this.element.hidden = !said;
    this.run = said?.run;
    this.button.hidden = !said?.label;
    if (!said) return;
    this.element.dataset.kind = said.kind ?? "";
    if (this.words.textContent !== said.words) this.words.textContent = said.words;
    this.button.textContent = said.label ?? "";
    this.button.disabled = Boolean(said.blocked);
  }
}
