/** Puts the chat page together: who hears what, and who may send. */

import { Acks } from "./acks.js";
import { Acts } from "./acts.js";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { Conversation } from "./conversation.js";
import { Notice } from "./notice.js";
import { ANSWER, Outbox } from "./outbox.js";
import { Refusal } from "./refusal.js";
import { Follower } from "./scroll.js";
import { Sidebar } from "./sidebar.js";
import { StateTeller } from "./state.js";
import { forgetAll, load, save } from "./store.js";
import { ThemeSwitch } from "./theme.js";
import { VisibleHeight } from "./viewport.js";
import { words } from "./words.js";

/** The server tells every unfinished state each 5 s; a connection silent for longer is gone. */
const SILENCE = 20_000;
/** A connection that is back within this was never worth a word. */
const BLINK = 1_000;
/** A site that said it restarts may be away for so long without being called gone. */
const RESTART = 20_000;
/** Of a message as it goes over the socket; the server takes frames of up to 64 KiB. */
const MOST_BYTES = 65_000;

const byId = (id) => document.getElementById(id);
const frame = byId("frame");
const { user, login, home, conversation: id = "" } = frame.dataset;

const notice = new Notice(byId("notice"));
const teller = new StateTeller(byId("said"));
const connection = new Connection({ frame: hear, state: connected, patience, outdated });
const send = (out) => connection.send(out);
const outbox = new Outbox(send);
const composer = new Composer(byId("box"), submit);
const refusal = new Refusal(notice, () => composer.form.requestSubmit());
const follower = new Follower(byId("scroll"), byId("turns"), byId("to-end"));
const acks = new Acks(send);
const conversation = new Conversation(byId("turns"), id, {
  send,
  outbox,
  acks,
  giveBack: (text) => composer.giveBack(text),
  changed: () => teller.update(conversation.turns),
  named,
});
const sidebar = new Sidebar({ conversation: id, send: sendOrSay, titled, gone });
const acts = new Acts(conversation, { stop: stopReply, say: (text) => teller.say(text), revise });

const wishes = [];
let restartBegan = -Infinity;
let blink = null;

function submit(text) {
  refusal.clear();
  if (isTooLong(text)) {
    composer.giveBack(text);
    refusal.show({ words: words.tooLong });
    return;
  }
  follower.following = true;
  conversation.say(text);
  follower.toEnd();
}

function revise(text) {
  composer.giveBack(text);
  composer.focus();
}

/** A larger frame would close the connection, and be sent again and again. */
function isTooLong(text) {
  return new TextEncoder().encode(JSON.stringify(text)).length > MOST_BYTES;
}

/** A wish to stop is kept until there is a connection. */
function stopReply(out) {
  if (send(out)) return;
  wishes.push(out);
  notice.set("connection", { words: words.stopLater, ...again() });
}

/** For what is not kept: renaming, deleting. */
function sendOrSay(out) {
  if (!send(out)) notice.set("connection", { words: words.offline, ...again() });
}

function named(conversationId) {
  history.replaceState(null, "", `/c/${conversationId}/`);
  frame.dataset.conversation = conversationId;
  composer.use(conversationId);
  sidebar.name(conversationId);
}

function titled(title) {
  byId("title").textContent = title;
  teller.rename(title);
}

function gone() {
  connection.stop();
  location.replace(home);
}

function hear(heard, size) {
  show(heard);
  acks.heard(size);
}

function show(heard) {
  switch (heard.type) {
    case "opened":
    case "snapshot":
    case "delta":
    case "staged":
    case "accepted":
      conversation[heard.type](heard);
      break;
    case "refused":
      conversation.refused(heard);
      refusal.show(heard);
      break;
    case "listed":
      sidebar.listed(heard);
      break;
    case "error":
      if (heard.about && heard.about === conversation.id) closeFor(words.gone, words.newChat, home);
      else if (!/^\d+$/.test(heard.about ?? "")) refusal.show(heard);
  }
}

function patience() {
  if (outbox.waiting()) return ANSWER;
  return conversation.unfinished ? SILENCE : 0;
}

function connected(state, said) {
  clearTimeout(blink);
  if (state === "ready") {
    if (said.user !== user) return location.reload();
    sidebar.settle(said.busy ?? []);
    notice.set("connection", null);
    conversation.open();
    conversation.mark(true);
    for (const out of wishes.splice(0)) send(out);
    outbox.connected();
    return;
  }
  conversation.connected = false;
  if (state === "signed-out") {
    closeFor(words.signedOut, words.logIn, `${login}?next=${encodeURIComponent(location.pathname)}`);
  } else if (state === "too-many") {
    conversation.mark(false);
    notice.set("connection", { words: said || words.tooManyTabs, ...again() });
  } else {
    if (state === "restarting") restartBegan = performance.now();
    const restarting = performance.now() - restartBegan < RESTART;
    const excuse = restarting ? words.restarting : words.offline;
    blink = setTimeout(() => {
      conversation.mark(false);
      notice.set("connection", { words: excuse, ...again() });
    }, BLINK);
  }
}

function again() {
  return { label: words.connect, run: () => connection.connect() };
}

function closeFor(said, label, address) {
  connection.stop();
  conversation.mark(false);
  notice.set("connection", { words: said, label, run: () => location.assign(address) });
}

/** What is typed and unsent is kept in this tab already; the new page speaks the new protocol. */
function outdated(protocol) {
  if (load("reloaded", 0) === protocol) return;
  save("reloaded", protocol);
  location.reload();
}

function start() {
  new ThemeSwitch(byId("themes")).start();
  new VisibleHeight().start();
  notice.start();
  teller.start();
  conversation.start();
  composer.start(id);
  follower.start();
  sidebar.start();
  acts.start();
  byId("logout")?.addEventListener("submit", forgetAll);
  for (const example of document.querySelectorAll(".example")) {
    example.addEventListener("click", () => revise(example.textContent));
  }
  teller.update(conversation.turns);
  connection.start();
  // On a phone the keyboard would cover half of what there is to read.
  if (matchMedia("(hover: hover)").matches) composer.focus();
  if ("send" in composer.box.dataset) composer.form.requestSubmit();
}

start();
