/** What the buttons of a turn do. One listener for all turns, since they come and go. */

import { words } from "./words.js";

const SHOWN = 1_500;

async function copy(text, button, say) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    say(words.notCopied);
    return;
  }
  say(words.copied);
  const icon = button.querySelector("use");
  icon?.setAttribute("href", "#i-check");
  if (button.dataset.label) button.dataset.label = words.copied;
  setTimeout(() => {
    icon?.setAttribute("href", "#i-copy");
    if (button.dataset.label) button.dataset.label = words.copy;
  }, SHOWN);
}

export class Acts {
  /**
   * @param {import("./conversation.js").Conversation} conversation
   * @param {object} page
   * @param {(frame: object) => void} page.stop  sends the wish to stop a reply
   * @param {(text: string) => void} page.say  to screen readers
   * @param {(text: string) => void} page.revise  puts a text into the box
   */
  constructor(conversation, page) {
    this.conversation = conversation;
    this.page = page;
    this.pressed = this.pressed.bind(this);
  }

  start() {
    this.conversation.path.root.addEventListener("click", this.pressed);
  }

  stop() {
    this.conversation.path.root.removeEventListener("click", this.pressed);
  }

  pressed(event) {
    const button = event.target.closest("button");
    if (!button) return;
    const article = button.closest(".turn");
    const turn = this.conversation.turns.find((other) => other.article === article);
    if (turn) this.act(button, turn);
  }

  act(button, turn) {
    const { conversation, page } = this;
    const kinds = button.classList;
    if (kinds.contains("stop-reply")) {
      page.stop({ type: "stop", generation: turn.generation });
    } else if (kinds.contains("again") || kinds.contains("anyway")) {
      conversation.say(turn.text, turn);
    } else if (kinds.contains("revise")) {
      page.revise(turn.text);
    } else if (kinds.contains("copy")) {
      copy(turn.blocks.reply.innerText.trim(), button, page.say);
    } else if (kinds.contains("copy-code")) {
      copy(button.closest("figure").querySelector("code").textContent, button, page.say);
    }
  }
}
