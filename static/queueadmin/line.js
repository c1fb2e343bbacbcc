// The live line to the server: connects, connects again, and notices when nothing comes any more.

const SILENT_MS = 6000; // the server says something every two seconds
const SLOWEST_MS = 10000;
const FINAL = { 4001: "signedOut", 4003: "noQueue", 4004: "tooMany" };

export class Line {
  /** `heard(frame)` gets every frame; `changed(state)` gets live, connecting, cut or a final word. */
  constructor(address, heard, changed) {
    this.address = address;
    this.heard = heard;
    this.changed = changed;
    this.tries = 0;
    this.live = false;
    this.last = 0;
  }

  start() {
    this.connect();
    setInterval(() => this.watch(), 1000);
    addEventListener("online", () => this.again());
    document.addEventListener("visibilitychange", () => document.hidden || this.again());
  }

  connect() {
    clearTimeout(this.timer);
    const socket = new WebSocket(this.address);
    this.socket = socket;
    this.last = Date.now();
    socket.onmessage = (event) => {
      if (socket !== this.socket) return;
      this.last = Date.now();
      this.tries = 0;
      if (!this.live) {
        this.live = true;
        this.changed("live");
      }
      this.heard(JSON.parse(event.data));
    };
    socket.onclose = (event) => socket === this.socket && this.closed(event.code);
  }

  closed(code) {
    this.live = false;
    this.socket = null;
    if (code in FINAL) {
      this.changed(FINAL[code]);
      this.ended = true;
      return;
    }
    this.changed("cut");
    const pause = Math.min(SLOWEST_MS, 250 * 2 ** this.tries++) * (0.5 + Math.random() / 2);
    this.timer = setTimeout(() => this.connect(), pause);
  }

  /** A line over which nothing comes is cut, even if nobody has said so. */
  watch() {
    if (this.socket && Date.now() - this.last > SILENT_MS) this.drop();
  }

  drop() {
    const socket = this.socket;
    this.socket = null;
    socket.close();
    this.closed(0);
  }

  /** The network or the reader is back: do not wait for the next try. */
  again() {
    if (!this.socket && !this.ended) this.connect();
  }

  /** Send an act; false if the page is not live. */
  send(frame) {
    if (!this.live || this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }
}
