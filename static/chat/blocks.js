/**
 * The blocks of one reply. An open block grows as plain text inside the right element; a closed one
 * is HTML from the server, put in place of exactly what it covers. Nothing that the reader has
 * selected is replaced until they let go. Offsets are the server's and only compared, never counted.
 */

import { words } from "./words.js";

/** What a closed block was made of, to leave an unchanged one alone. */
const sources = new WeakMap();

function isSelected(section) {
  const selection = getSelection();
  return Boolean(selection && !selection.isCollapsed && selection.containsNode(section, true));
}

function asWritten(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.innerHTML;
}

function startOf(section) {
  return Number(section.dataset.start);
}

function newSection(start, kind) {
  const section = document.createElement("section");
  section.className = "block";
  section.dataset.start = start;
  section.dataset.kind = kind;
  return section;
}

/** Gives every piece of code its copy button; the label is drawn, so that it is never copied. */
function dress(section) {
  for (const figure of section.querySelectorAll("figure.code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet copy-code";
    button.dataset.label = words.copy;
    button.setAttribute("aria-label", words.copy);
    figure.append(button);
  }
}

/** The element whose text grows, inside what a block of this kind will be. */
function growingElement(section, part) {
  section.replaceChildren();
  let element;
  if (part.kind === "code") {
    const figure = document.createElement("figure");
    figure.className = "code";
    const caption = document.createElement("figcaption");
    caption.textContent = part.language ?? "";
    const pre = document.createElement("pre");
    pre.dir = "ltr";
    element = document.createElement("code");
    pre.append(element);
    figure.append(caption, pre);
    section.append(figure);
  } else {
    const heading = `h${Math.min((part.level ?? 1) + 2, 6)}`;
    const tags = { heading, paragraph: "p" };
    element = document.createElement(tags[part.kind] ?? "div");
    element.dir = "auto";
    section.append(element);
  }
  element.classList.add("growing");
  element.dataset.kind = part.kind;
  element.append(document.createTextNode(""));
  return element;
}

export class Blocks {
  /** @param {HTMLElement} reply */
  constructor(reply) {
    this.reply = reply;
    this.deferred = [];
    for (const section of this.sections()) {
      sources.set(section, section.innerHTML);
      dress(section);
    }
  }

  sections() {
    return Array.from(this.reply.children);
  }

  at(start) {
    let section = this.reply.lastElementChild;
    while (section && startOf(section) > start) section = section.previousElementSibling;
    return section && startOf(section) === start ? section : null;
  }

  insert(section) {
    const next = this.sections().find((other) => startOf(other) > startOf(section));
    this.reply.insertBefore(section, next ?? null);
  }

  /** Appends a part's text to its open block. */
  grow(part) {
    const text = part.text ?? "";
    if (!text && part.kind !== "code") return;
    this.opened(part).firstChild.appendData(text);
  }

  /** Makes the open block's text exactly this one. */
  regrow(part) {
    const text = part.text ?? "";
    if (!text && part.kind !== "code") return;
    const node = this.opened(part).firstChild;
    if (text.startsWith(node.data)) node.appendData(text.slice(node.data.length));
    else node.data = text;
  }

  opened(part) {
    let section = this.at(part.block);
    if (!section) {
      section = newSection(part.block, part.kind);
      this.insert(section);
    }
    const key = `${part.kind} ${part.language ?? ""} ${part.level ?? 0}`;
    const growing = section.querySelector(".growing");
    if (growing && section.dataset.key === key) return growing;
    const before = growing?.firstChild.data ?? "";
    const element = growingElement(section, part);
    element.firstChild.data = before;
    section.dataset.key = key;
    section.dataset.kind = part.kind;
    delete section.dataset.end;
    return element;
  }

  /** Puts a closed block in place of what it covers, later if that is selected now. */
  place(block) {
    this.deferred = this.deferred.filter((other) => other.start !== block.start);
    const covered = this.sections().filter(
      (section) => startOf(section) >= block.start && startOf(section) < block.end,
    );
    if (covered.length === 1 && this.isSame(covered[0], block)) return;
    if (covered.some(isSelected)) {
      this.deferred.push(block);
      return;
    }
    for (const section of covered) section.remove();
    if (!block.html) return;
    const section = newSection(block.start, block.kind);
    section.dataset.end = block.end;
    section.innerHTML = block.html;
    sources.set(section, block.html);
    dress(section);
    this.insert(section);
  }

  isSame(section, block) {
    const source = sources.get(section);
    if (source === undefined || Number(section.dataset.end) !== block.end) return false;
    return source === block.html || source === asWritten(block.html);
  }

  /** Tries what was deferred; called when the selection changed. */
  settle() {
    for (const block of [...this.deferred]) this.place(block);
  }

  /** Makes the reply exactly these blocks and this open part. */
  fit(blocks, open) {
    const wanted = new Set(blocks.map((block) => block.start));
    if (open) wanted.add(open.block);
    for (const block of blocks) this.place(block);
    if (open) this.regrow(open);
    const deferred = this.deferred;
    for (const section of this.sections()) {
      const start = startOf(section);
      const kept = deferred.some((block) => start >= block.start && start < block.end);
      if (!wanted.has(start) && !kept) section.remove();
    }
  }
}
