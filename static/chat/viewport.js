/**
 * Keeps the box above the keyboard where the browser lets it cover the page (iOS): the frame is as
 * high as what can be seen. Elsewhere CSS alone does it.
 */

export class VisibleHeight {
  constructor() {
    this.fit = this.fit.bind(this);
  }

  start() {
    visualViewport?.addEventListener("resize", this.fit);
  }

  stop() {
    visualViewport?.removeEventListener("resize", this.fit);
  }

  fit() {
    // A page that is zoomed in shows less of itself without being smaller.
    if (visualViewport.scale > 1.01) return;
    const covered = innerHeight - visualViewport.height > 1;
    const height = covered ? `${visualViewport.height}px` : "";
    document.documentElement.style.setProperty("--visible-height", height);
    if (covered) scrollTo(0, 0);
  }
}
