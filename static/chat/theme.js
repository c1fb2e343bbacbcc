/** The switch between the system's theme, light and dark; the choice is this browser's own. */

const KEY = "theme";

function read() {
  try {
    return localStorage.getItem(KEY) ?? "system";
  } catch {
    return "system";
  }
}

function apply(theme) {
  const root = document.documentElement;
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
}

export class ThemeSwitch {
  /** @param {HTMLElement} group  holds radio buttons with the values system, light, dark */
  constructor(group) {
    this.group = group;
    this.choose = this.choose.bind(this);
    this.follow = this.follow.bind(this);
  }

  start() {
    this.show(read());
    this.group.addEventListener("change", this.choose);
    addEventListener("storage", this.follow);
  }

  stop() {
    this.group.removeEventListener("change", this.choose);
    removeEventListener("storage", this.follow);
  }

  show(theme) {
    const radio = this.group.querySelector(`input[value="${CSS.escape(theme)}"]`);
    if (radio) radio.checked = true;
    apply(theme);
  }

  choose(event) {
    const theme = event.target.value;
    apply(theme);
    try {
      if (theme === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, theme);
    } catch {
      // Without storage the choice lasts until the next page.
    }
  }

  follow(event) {
    if (event.key === KEY) this.show(event.newValue ?? "system");
  }
}
