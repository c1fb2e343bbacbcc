// The operators' dashboard: puts line, state, figures, tables and controls together.

import { Acts } from "./acts.js";
import * as figures from "./figures.js";
import { Line } from "./line.js";
import { say } from "./rows.js";
import { Setting } from "./settings.js";
import { State } from "./state.js";
import * as tables from "./tables.js";
import { timeOfDay, words } from "./words.js";

const page = document.getElementById("board");
const state = new State();
const address = new URL(`/ws/queue?queue=${page.dataset.queue}`, location.href);
address.protocol = address.protocol.replace("http", "ws");
const line = new Line(address.href, heard, lineChanged);
const acts = new Acts(line);
const settings = [...page.querySelectorAll("form[data-setting]")].map((form) => new Setting(form, acts));
const pause = document.getElementById("pause");
const resume = document.getElementById("resume");
let may = [];
let drawing = false;
let cutAt = 0;

function heard(frame) {
  switch (frame.type) {
    case "board":
      if (frame.protocol !== Number(page.dataset.protocol)) return location.reload();
      state.whole(frame);
      may = frame.may ?? [];
      return draw();
    case "changes":
      state.change(frame);
      return draw();
    case "may":
      may = frame.may ?? [];
      return draw();
    default:
      acts.answered(frame);
  }
}

function draw() {
  if (drawing) return;
  drawing = true;
  // A hidden tab gets no animation frames; it draws when it is looked at.
  requestAnimationFrame(() => {
    drawing = false;
    const { board } = state;
    figures.show(board);
    tables.show(board, may, acts);
    for (const setting of settings) setting.show(board.figures[setting.name], may.includes("set"));
    showPause(board.figures.paused);
    document.getElementById("read-only").hidden = may.length > 0;
    page.dataset.ready = "";
    tick();
  });
}

function showPause(paused) {
  const focused = document.activeElement === pause || document.activeElement === resume;
  pause.hidden = paused;
  resume.hidden = !paused;
  pause.disabled = resume.disabled = !may.includes("pause");
  if (focused) (paused ? resume : pause).focus();
}

function tick() {
  if (!state.board || !line.live) return;
  const now = state.now();
  figures.tick(state.board, now);
  tables.tick(state.board, now);
}

function lineChanged(what) {
  const sign = document.getElementById("line");
  if (what === "live") cutAt = 0;
  else cutAt ||= Date.now() / 1000;
  if (what !== "live") acts.cut();
  page.classList.toggle("stale", what !== "live");
  sign.dataset.state = what === "live" ? "live" : "cut";
  say(sign, words(what, { time: timeOfDay(cutAt) }));
}

pause.addEventListener("click", () => acts.send({ type: "pause" }));
resume.addEventListener("click", () => acts.send({ type: "resume" }));

const confirm = document.getElementById("confirm");
page.addEventListener("click", (event) => {
  const button = event.target.closest("[data-stop]");
  if (!button) return;
  const generation = Number(button.dataset.stop);
  say(document.getElementById("confirm-title"), words("stopQuestion", { user: button.dataset.user }));
  confirm.returnValue = "";
  confirm.showModal();
  confirm.onclose = () => confirm.returnValue === "yes" && acts.send({ type: "cancel", generation });
});

line.start();
setInterval(tick, 1000);
