// The connection to the gateway: JSON events and binary media over one WebSocket; reconnects.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const HEADER_BYTES = 12;
const UNAUTHORIZED = 4401;

/** Kinds of binary messages from the gateway. */
export const INIT = 1;
export const FRAGMENT = 2;
export const LAST = 3;

/**
 * Events: "open"; "event" (detail: the JSON event); "media" (detail: {kind, stream, epoch, bytes});
 * "waiting" (detail: {seconds, reason}); "unauthorized".
 */
export class Connection extends EventTarget {
  #socket = null;
  #wait = FIRST_WAIT_MS;
  #timer = 0;
  #token = () => null;

  /** @param {() => string | null} token returns the token, if there is one. */
  constructor(token) {
    super();
    this.#token = token;
    // After sleep or a change of network the browser knows earlier than the back-off ends.
    addEventListener("online", () => this.#timer && this.connect());
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Connects now. */
  connect() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.close();
    const address = new URL("v1/realtime", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = (event) => this.#lost(socket, event);
    this.#socket = socket;
  }

  /** Closes and stays closed. */
  close() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  /** Sends an event; false if there is no connection. */
  send(event) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(event));
    return true;
  }

  /** Sends microphone audio: signed 16-bit little-endian samples. */
  sendAudio(buffer) {
    if (this.isOpen) this.#socket.send(buffer);
  }

  #opened(socket) {
    const token = this.#token();
    if (token) socket.send(JSON.stringify({ type: "anima.authenticate", token }));
    this.dispatchEvent(new Event("open"));
  }

  #received(data) {
    if (typeof data === "string") {
      const detail = JSON.parse(data);
      // Only a gateway that sends an event resets the back-off; one that refuses at once does not.
      if (detail.type === "session.created") this.#wait = FIRST_WAIT_MS;
      this.dispatchEvent(new CustomEvent("event", { detail }));
      return;
    }
    const header = new DataView(data, 0, HEADER_BYTES);
    const detail = {
      kind: header.getUint8(1),
      stream: header.getUint32(4),
      epoch: header.getUint32(8),
      bytes: new Uint8Array(data, HEADER_BYTES),
    };
    this.dispatchEvent(new CustomEvent("media", { detail }));
  }

  #lost(socket, { code, reason }) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    if (code === UNAUTHORIZED) {
      this.dispatchEvent(new Event("unauthorized"));
      return;
    }
    const wait = this.#wait * (0.75 + Math.random() / 2);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT_MS);
    this.#timer = setTimeout(() => this.connect(), wait);
    const seconds = Math.max(1, Math.round(wait / 1000));
    this.dispatchEvent(new CustomEvent("waiting", { detail: { seconds, reason } }));
  }
}
