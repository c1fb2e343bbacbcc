// The headline numbers and the alerts above them.

import { element, patch, say } from "./rows.js";
import { duration, exactly, number, speed, words } from "./words.js";

const SIGNS = { danger: "✕", warn: "!", note: "i" };

function figure(name, text) {
  for (const node of document.querySelectorAll(`[data-figure="${name}"]`)) say(node, text);
}

/** Everything that a frame may have changed. */
export function show(board) {
  const seen = board.figures;
  figure("waiting", number(seen.waiting));
  figure("of-size", words("of", { n: number(seen.size) }));
  figure("running", number(seen.running));
  figure("of-places", words("of", { n: number(Math.min(seen.limit, seen.slots || seen.limit)) }));
  figure("alive", number(seen.alive));
  figure("of-workers", words("of", { n: number(seen.workers) }));
  figure("speed", speed(seen.speed));
  figure("note-speed", seen.running ? words("perReply", { n: speed(seen.speed / seen.running) }) : "");
  for (const [name, note] of Object.entries(seen.notes)) figure(`note-${name}`, note);
  figure("wait", seen.wait);
  figure("effect", seen.effect);
  document.getElementById("board").dataset.binds = seen.binds;
  alerts(board.alerts);
}

function alerts(all) {
  const byKind = new Map(all.map((alert) => [alert.kind, alert]));
  patch(document.getElementById("alerts"), byKind.keys(), makeAlert, (row, kind) => {
    const alert = byKind.get(kind);
    row.className = `alert ${alert.level}`;
    say(row.children[0], SIGNS[alert.level]);
    say(row.children[1], alert.words);
    say(row.children[2], alert.remedy);
    row.children[3].title = alert.since ? exactly(alert.since) : "";
  });
}

function makeAlert() {
  const row = element("div");
  row.append(element("span", "sign"), element("strong"), element("span", "remedy"), element("span", "since"));
  row.firstElementChild.ariaHidden = "true";
  row.lastElementChild.ariaHidden = "true"; // it changes every second
  return row;
}

/** What grows by itself, once a second. */
export function tick(board, now) {
  const { oldest } = board.figures;
  figure("oldest", oldest ? duration(now - oldest) : "–");
  const since = new Map(board.alerts.map((alert) => [alert.kind, alert.since]));
  for (const row of document.getElementById("alerts").children) {
    const began = since.get(row.dataset.id);
    say(row.children[3], began ? duration(now - began) : "");
  }
}
