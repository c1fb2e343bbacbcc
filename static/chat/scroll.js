/** Keeps the newest text in sight while the reader is at the end, and stays put once they scroll up. */

const NEAR = 32;

export class Follower {
  /** @param {HTMLElement} scroller  @param {HTMLElement} content  @param {HTMLElement} button */
  constructor(scroller, content, button) {
    Object.assign(this, { scroller, content, button });
    this.following = true;
    this.top = 0;
    this.scrolled = this.scrolled.bind(this);
    this.toEnd = this.toEnd.bind(this);
    this.observer = new ResizeObserver(() => this.grown());
  }

  start() {
    this.observer.observe(this.content);
    this.observer.observe(this.scroller);
    this.scroller.addEventListener("scroll", this.scrolled, { passive: true });
    this.button.addEventListener("click", this.toEnd);
    this.toEnd();
  }

  stop() {
    this.observer.disconnect();
    this.scroller.removeEventListener("scroll", this.scrolled);
    this.button.removeEventListener("click", this.toEnd);
  }

  get atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  scrolled() {
    // Only scrolling up stops the following: growth alone also leaves the end behind.
    const up = this.scroller.scrollTop < this.top;
    this.top = this.scroller.scrollTop;
    if (this.atEnd) this.following = true;
    else if (up) this.following = false;
    if (this.following) this.button.hidden = true;
  }

  grown() {
    if (this.following) this.toEnd();
    else if (!this.atEnd) this.button.hidden = false;
  }

  toEnd() {
    this.following = true;
    this.button.hidden = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.top = this.scroller.scrollTop;
  }
}
