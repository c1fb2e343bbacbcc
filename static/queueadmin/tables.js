// The tables of the dashboard: in progress, waiting, workers, and the latest changes.

import { element, patch, say } from "./rows.js";
import { Setting } from "./settings.js";
import { duration, exactly, number, speed, timeOfDay, words } from "./words.js";

const STATE_SIGNS = { ready: "●", loading: "◔", broken: "✕", dead: "✕" };

const body = (id) => document.querySelector(`#${id} tbody`) ?? document.getElementById(id);

function cells(...names) {
  return () => {
    const row = element("tr");
    row.append(...names.map((name) => element("td", name)));
    return row;
  };
}

function person(cell, row) {
  if (cell.dataset.user === row.user) return;
  cell.dataset.user = row.user;
  cell.replaceChildren(element("span", "name", row.user));
  cell.title = row.user;
  if (row.guest && !row.user.startsWith("guest")) cell.append(element("span", "tag", words("guest")));
}

function stopButton(cell, id, row, may) {
  let button = cell.firstElementChild;
  if (!button) {
    button = element("button", "stop", words("stop"));
    button.type = "button";
    button.dataset.stop = id;
    cell.append(button);
  }
  button.setAttribute("aria-label", words("stopOf", { user: row.user }));
  button.dataset.user = row.user;
  button.disabled = !may;
}

const runningRow = cells("c-user", "c-time wide", "c-time", "c-number", "c-number mid", "c-worker wide", "c-act");
const waitingRow = cells("c-place", "c-user", "c-time wide", "c-time", "c-number mid", "c-act");
const workerRow = cells("c-user", "c-state", "c-slots", "c-number mid", "c-number mid", "c-number wide", "c-worker wide");
const slots = new WeakMap(); // a worker's row → its setting

/** Everything that a frame may have changed. */
export function show(board, may, acts) {
  const { running, waiting, workers, trail } = board;
  const oldestFirst = Object.keys(running).sort((a, b) => running[a].claimed - running[b].claimed || a - b);
  patch(body("running"), oldestFirst, runningRow, (row, id) => fillRunning(row, id, board, may));
  const held = new Set(board.held);
  let place = 0;
  patch(body("waiting"), board.order, waitingRow, (row, id) => {
    if (waiting[id]) fillWaiting(row, id, waiting[id], held.has(id) ? null : ++place, may);
  });
  patch(body("workers"), Object.keys(workers), workerRow, (row, id) => fillWorker(row, id, workers[id], may.includes("set"), acts));
  const newestFirst = Object.keys(trail).sort((a, b) => b - a);
  patch(body("trail"), newestFirst, () => element("li"), (row, id) => fillChange(row, trail[id]));
  const counts = { running: oldestFirst.length, waiting: board.order.length };
  Object.assign(counts, { workers: Object.keys(workers).length, trail: newestFirst.length });
  for (const note of document.querySelectorAll("[data-empty]")) note.hidden = counts[note.dataset.empty] > 0;
  const rest = document.getElementById("rest");
  rest.hidden = board.figures.waiting <= board.order.length;
  say(rest, words("rest", { n: number(board.figures.waiting - board.order.length) }));
}

function fillRunning(row, id, board, may) {
  const [user, sent, , tokens, , worker, act] = row.children;
  const one = board.running[id];
  person(user, one);
  say(sent, timeOfDay(one.created));
  sent.title = exactly(one.created);
  say(tokens, number(board.tokens[id] ?? 0));
  say(worker, one.worker);
  worker.title = one.strikes ? words("again") : one.worker;
  stopButton(act, id, one, may.includes("cancel"));
}

function fillWaiting(row, id, one, place, may) {
  const [position, user, sent, , tokens, act] = row.children;
  say(position, place ?? words("held"));
  position.title = place ? "" : words("heldWhy");
  row.classList.toggle("held", !place);
  person(user, one);
  say(sent, timeOfDay(one.created));
  sent.title = exactly(one.created);
  say(tokens, one.tokens ? number(one.tokens) : "");
  tokens.title = one.tokens ? words("kept", { n: number(one.tokens) }) : "";
  stopButton(act, id, one, may.includes("cancel"));
}

function fillWorker(row, id, one, may, acts) {
  const [name, state, places, heart, pace, memory, model] = row.children;
  say(name, one.name);
  name.title = one.host;
  row.dataset.state = one.state;
  if (one.state !== "dead") say(state, `${STATE_SIGNS[one.state] ?? ""} ${one.words}`);
  state.title = one.words;
  fillSlots(row, places, id, one, may && one.state === "ready", acts);
  if (one.state !== "dead") say(heart, one.quiet ? words("ago", { time: duration(one.quiet) }) : words("now"));
  say(pace, one.speed ? speed(one.speed) : "–");
  say(memory, one.memory ? words("memory", { n: number(one.memory) }) : "–");
  say(model, [one.model.split("/").pop(), one.device].filter(Boolean).join(" · "));
  model.title = one.model;
}

// Used / slots of capacity: the slots are a field for those who may set them.
function fillSlots(row, cell, id, one, may, acts) {
  if (!slots.has(row)) {
    const form = element("form", "slots");
    const field = element("input");
    Object.assign(field, { type: "number", min: 1, step: 1, required: true, autocomplete: "off" });
    form.append(element("span"), field, element("span"));
    cell.append(form);
    slots.set(row, new Setting(form, acts, { type: "slots", worker: Number(id) }));
  }
  const [used, field, capacity] = cell.firstElementChild.children;
  field.max = one.capacity;
  field.setAttribute("aria-label", words("slotsOf", { name: one.name }));
  say(used, `${number(one.running)} /`);
  say(capacity, words("of", { n: number(one.capacity) }));
  slots.get(row).show(one.slots, may);
}

function fillChange(row, one) {
  if (row.childElementCount) return; // what is recorded does not change
  const sentence = element("span");
  sentence.append(element("b", "", one.who), ` ${one.words}`);
  row.append(sentence, element("time"));
  row.lastElementChild.title = exactly(one.at);
}

/** What grows by itself: ages, speeds. Once a second. */
export function tick(board, now) {
  for (const row of body("running").children) {
    const one = board.running[row.dataset.id];
    if (!one) continue;
    const seconds = now - one.claimed;
    say(row.children[2], duration(seconds));
    row.children[2].title = exactly(one.claimed);
    const made = (board.tokens[row.dataset.id] ?? 0) - one.before;
    say(row.children[4], seconds >= 1 ? speed(Math.max(0, made) / seconds) : "–");
  }
  for (const row of body("waiting").children) {
    const one = board.waiting[row.dataset.id];
    if (one) say(row.children[3], duration(now - one.created));
  }
  for (const row of body("workers").children) {
    const one = board.workers[row.dataset.id];
    if (one?.state === "dead") {
      const time = duration(now - one.beat);
      say(row.children[1], `${STATE_SIGNS.dead} ${words("silent", { time })}`);
      say(row.children[3], words("ago", { time }));
    }
  }
  for (const row of body("trail").children) {
    const one = board.trail[row.dataset.id];
    if (one) say(row.lastElementChild, words("ago", { time: duration(now - one.at) }));
  }
}
