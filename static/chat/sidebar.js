/** The list of conversations: lines that the server reports, and their menu. */

import { words } from "./words.js";

const template = document.getElementById("row");
const GAP = 4;
const LIVE = ["waiting", "after", "paused", "preparing", "thinking", "generating", "continuing"];

export class Sidebar {
  /**
   * @param {object} page
   * @param {string} page.conversation  the one that the page shows, "" for none yet
   * @param {(frame: object) => boolean} page.send
   * @param {(title: string) => void} page.titled  the shown conversation has this title
   * @param {() => void} page.gone  the shown conversation was deleted
   */
  constructor(page) {
    this.page = page;
    this.current = page.conversation;
    this.list = document.getElementById("list");
    this.menu = document.getElementById("menu");
    this.renaming = document.getElementById("rename");
    this.deleting = document.getElementById("delete");
    this.about = null;
  }

  start() {
    document.addEventListener("click", (event) => this.pressed(event));
    this.menu.addEventListener("toggle", (event) => this.toggled(event));
    this.renaming.addEventListener("close", () => this.renamed());
    this.deleting.addEventListener("close", () => this.deleted());
    // In the top layer of a wide window the drawer would stand in the way.
    matchMedia("(min-width: 800px)").addEventListener("change", () => {
      document.getElementById("sidebar").hidePopover();
    });
    this.list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  }

  /** The new conversation of this page has an id now. */
  name(conversation) {
    this.current = conversation;
    document.getElementById("chat-more").hidden = false;
    this.rowOf(conversation)?.querySelector("a").setAttribute("aria-current", "page");
  }

  rowOf(conversation) {
    return this.list.querySelector(`[data-conversation="${CSS.escape(conversation)}"]`);
  }

  // -- what the server says --------------------------------------------------------------------

  listed({ conversation, title = "", stage = "", words: said = "", gone = false }) {
    if (gone) {
      this.rowOf(conversation)?.remove();
      if (conversation === this.current) this.page.gone();
      return;
    }
    const row = this.rowOf(conversation) ?? this.insert(conversation);
    row.querySelector(".title").textContent = title || words.newChat;
    if (stage) this.stage(row, conversation, stage, said);
    if (conversation === this.current) this.page.titled(title || words.newChat);
  }

  /** Nothing waits or runs any more in rows that still say so, unless they are `busy`. */
  settle(busy) {
    for (const row of this.list.querySelectorAll(".row[data-stage]")) {
      const { conversation, stage } = row.dataset;
      if (LIVE.includes(stage) && !busy.includes(conversation)) {
        this.stage(row, conversation, "done", "");
      }
    }
  }

  stage(row, conversation, stage, said) {
    const over = ["done", "length", "stopped", "held"].includes(stage);
    const unread = over && conversation !== this.current && row.dataset.stage;
    row.dataset.stage = unread ? "unread" : stage;
    const short = { failed: words.failed };
    const line = unread ? words.newReply : over ? "" : (short[stage] ?? said);
    row.querySelector(".row-stage").textContent = line;
    const group = this.list.querySelector('[data-group="today"] ul');
    if (group.firstElementChild !== row && !row.matches(":hover, :focus-within")) {
      group.prepend(row);
    }
  }

  insert(conversation) {
    const row = template.content.firstElementChild.cloneNode(true);
    row.dataset.conversation = conversation;
    const link = row.querySelector("a");
    link.href = `/c/${conversation}/`;
    if (conversation === this.current) link.setAttribute("aria-current", "page");
    this.list.querySelector('[data-group="today"] ul').prepend(row);
    return row;
  }

  // -- the menu --------------------------------------------------------------------------------

  pressed(event) {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.classList.contains("more")) this.openMenu(button);
    else if (button.dataset.act) this.choose(button.dataset.act);
    else if ("close" in button.dataset) button.closest("dialog").close("");
  }

  openMenu(button) {
    const row = button.closest(".row");
    this.about = row ? row.dataset.conversation : this.current;
    this.opener = button;
    const { bottom, right } = button.getBoundingClientRect();
    this.menu.showPopover();
    const { offsetWidth, offsetHeight } = this.menu;
    const top = Math.min(bottom + GAP, innerHeight - offsetHeight - GAP);
    const left = Math.max(GAP, Math.min(right, innerWidth - GAP) - offsetWidth);
    this.menu.style.top = `${top}px`;
    this.menu.style.left = `${left}px`;
    this.menu.querySelector("button").focus();
  }

  toggled(event) {
    const open = event.newState === "open";
    this.opener?.setAttribute("aria-expanded", String(open));
    if (!open && this.menu.contains(document.activeElement)) this.opener?.focus();
  }

  choose(act) {
    this.menu.hidePopover();
    const title = this.titleOf(this.about);
    const dialog = act === "rename" ? this.renaming : this.deleting;
    dialog.returnValue = "";
    if (act === "rename") dialog.querySelector("input").value = title;
    else dialog.querySelector(".subject").textContent = title;
    dialog.showModal();
    if (act === "rename") dialog.querySelector("input").select();
  }

  titleOf(conversation) {
    return this.rowOf(conversation)?.querySelector(".title").textContent ?? "";
  }

  renamed() {
    const title = this.renaming.querySelector("input").value.trim();
    if (this.renaming.returnValue !== "yes" || !title || title === this.titleOf(this.about)) return;
    this.page.send({ type: "rename", conversation: this.about, title });
  }

  deleted() {
    if (this.deleting.returnValue !== "yes") return;
    this.page.send({ type: "delete", conversation: this.about });
  }
}
