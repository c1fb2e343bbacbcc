/** The pages with a form: the theme's switch, and the landing page's box. */

import { isSend } from "./keys.js";
import { ThemeSwitch } from "./theme.js";

new ThemeSwitch(document.getElementById("themes")).start();

const box = document.querySelector("#start textarea");
if (matchMedia("(hover: hover)").matches) box?.focus();
box?.addEventListener("keydown", (event) => {
  if (!isSend(event)) return;
  event.preventDefault();
  if (box.value.trim()) box.form.requestSubmit();
});
box?.form.addEventListener("submit", (event) => {
  // A second press while the first one is on its way would make a second guest.
  if (box.form.dataset.sent) event.preventDefault();
  box.form.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  if (box) delete box.form.dataset.sent;
});
