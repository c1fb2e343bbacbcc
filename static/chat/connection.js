/**
 * The one WebSocket of this tab. Reconnecting is connecting: whoever listens gets "ready" each time
 * and asks for what it shows. Knows nothing of turns.
 */

export const PROTOCOL = 1;

const FIRST_DELAY = 500;
const LONGEST_DELAY = 30_000;
/** A server that accepts and does not greet within this is as good as away. */
const GREETING = 10_000;
/** Only a connection that lasted this long starts the back-off anew. */
const STEADY = 5_000;
const CHECK = 2_000;

const SIGNED_OUT = 4001;
const TOO_MANY = 4002;
const TOO_MANY_FRAMES = 4004;
const RESTART = 1012;

export class Connection {
  /**
   * @param {object} listener
   * @param {(frame: object, size: number) => void} listener.frame  every frame after the greeting
   * @param {(state: "ready"|"offline"|"restarting"|"signed-out"|"too-many", said: object|string)
   *   => void} listener.state  with the greeting, or the server's words for why it closes
   * @param {() => number} listener.patience  milliseconds of silence that are normal now, 0: any
   * @param {(protocol: number) => void} listener.outdated  the server speaks another protocol
   */
  constructor(listener) {
    this.listener = listener;
    this.socket = null;
    this.ready = false;
    this.failures = 0;
    this.heard = 0;
    this.wake = this.wake.bind(this);
    this.lost = this.lost.bind(this);
  }

  start() {
    this.ended = false;
    document.addEventListener("visibilitychange", this.wake);
    addEventListener("online", this.wake);
    addEventListener("offline", this.lost);
    addEventListener("pageshow", this.wake);
    this.watch = setInterval(() => this.check(), CHECK);
    this.connect();
  }

  stop() {
    this.ended = true;
    document.removeEventListener("visibilitychange", this.wake);
    removeEventListener("online", this.wake);
    removeEventListener("offline", this.lost);
    removeEventListener("pageshow", this.wake);
    clearInterval(this.watch);
    clearTimeout(this.timer);
    this.drop();
  }

  /** Sends a frame; false if there is no connection, and then nothing is kept here. */
  send(frame) {
    if (!this.ready || this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  connect() {
    clearTimeout(this.timer);
    this.drop();
    this.ended = false;
    this.why = "";
    this.heard = performance.now();
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws/chat`);
    this.socket = socket;
    socket.onmessage = (event) => this.hear(JSON.parse(event.data), event.data.length);
    socket.onclose = (event) => this.closed(event.code);
  }

  drop() {
    const socket = this.socket;
    this.socket = null;
    this.ready = false;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  hear(frame, size) {
    this.heard = performance.now();
    if (this.ready) {
      this.listener.frame(frame, size);
    } else if (frame.type === "hello" && frame.protocol === PROTOCOL) {
      this.ready = true;
      this.since = performance.now();
      this.listener.state("ready", frame);
    } else if (frame.type === "hello") {
      this.stop();
      this.listener.outdated(frame.protocol);
    } else if (frame.type === "error") {
      this.why = frame.words;
    }
  }

  closed(code) {
    const steady = this.ready && performance.now() - this.since > STEADY;
    this.drop();
    if (code === SIGNED_OUT || code === TOO_MANY) {
      this.ended = true;
      this.listener.state(code === SIGNED_OUT ? "signed-out" : "too-many", this.why);
      return;
    }
    if (steady) this.failures = 0;
    this.listener.state(code === RESTART ? "restarting" : "offline");
    this.retry(code);
  }

  retry(code) {
    const longest = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.failures++);
    let delay = Math.random() * longest;
    if (code === RESTART) delay = 300 + Math.random() * 1_200;
    if (code === TOO_MANY_FRAMES) delay += 10_000;
    this.timer = setTimeout(() => this.connect(), delay);
  }

  /** The reader came back or the network did: do not sit out the delay. */
  wake() {
    if (this.ended || document.visibilityState === "hidden") return;
    if (!this.socket) this.connect();
    else this.check();
  }

  /** The browser says that the network is gone; if it is wrong, the next try will tell. */
  lost() {
    if (this.socket) this.closed(0);
  }

  /** A connection that should be talking and is silent is replaced. */
  check() {
    if (!this.socket) return;
    const patience = this.ready ? this.listener.patience() : GREETING;
    if (patience && performance.now() - this.heard > patience) {
      this.drop();
      this.listener.state("offline");
      this.connect();
    }
  }
}
