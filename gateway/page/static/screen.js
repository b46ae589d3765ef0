// Video and audio, either over WebRTC or as fMP4 over the WebSocket.

import { LivePlayer, NO_CONNECTION } from "./live.js";
import { Player } from "./player.js";

// A machine that is busy while the page opens may need longer than the first attempt allows.
const RETRY_MS = 2_000;
const FORWARDED = ["shown", "progress", "ended", "stalled", "blocked", "broken"];

/** The media transport: "webrtc", "ws", or "" for the best that works; from `?media=`. */
export const wantedMedia = new URLSearchParams(location.search).get("media") ?? "";

/** The events of Player, and "signal" (detail: an event for the gateway), "unreachable". */
export class Screen extends EventTarget {
  #player;
  #live;
  #iceServers = [];
  #retries = 0;
  #timer = 0;

  constructor(element, { talk, live }) {
    super();
    this.#player = new Player(element, talk);
    this.#live = new LivePlayer(element, live);
    for (const player of [this.#player, this.#live]) {
      for (const type of FORWARDED) {
        player.addEventListener(type, ({ detail }) => this.dispatchEvent(new CustomEvent(type, { detail })));
      }
    }
    this.#live.addEventListener("signal", ({ detail }) => {
      this.dispatchEvent(new CustomEvent("signal", { detail }));
    });
    this.#live.addEventListener("lost", ({ detail }) => {
      if (wantedMedia === "webrtc") this.dispatchEvent(new Event("unreachable"));
      else if (!detail.connected && detail.reason === NO_CONNECTION) this.#retry();
    });
  }

  get turnId() {
    return this.#live.turnId ?? this.#player.turnId;
  }

  get positionSamples() {
    return this.#live.turnId ? this.#live.positionSamples : this.#player.positionSamples;
  }

  /** Processes a media event of the gateway. @returns {boolean} false if it is another event */
  take(event) {
    switch (event.type) {
      case "anima.webrtc.config":
        this.#iceServers = event.ice_servers;
        this.#retries = 1;
        if (wantedMedia !== "ws" && LivePlayer.isPossible) this.#connect();
        return true;
      case "anima.webrtc.answer":
        this.#live.answer(event.sdp).catch((error) => this.#live.fail(error.message));
        return true;
      case "anima.webrtc.refused":
      case "anima.webrtc.closed":
        this.#live.fail(event.reason ?? "closed");
        return true;
      case "anima.live":
        this.#live.follow(event);
        return true;
      case "anima.paused":
      case "anima.resumed":
        this.#player.hold(event.type === "anima.paused");
        this.#live.hold(event.type === "anima.paused");
        return true;
      case "anima.ping":
        this.dispatchEvent(new CustomEvent("signal", { detail: { type: "anima.pong" } }));
        return true;
      default:
        return false;
    }
  }

  /** Prepares for a stream over the WebSocket. */
  open(stream) {
    this.#player.open(stream);
  }

  /** Processes a binary message. */
  feed(message) {
    this.#player.feed(message);
  }

  /** Stops video and audio of the answer at once. */
  stop() {
    this.#player.stop();
    this.#live.stop();
  }

  /** Called when the connection to the gateway is lost. */
  disconnect() {
    clearTimeout(this.#timer);
    this.stop();
    this.#live.close();
  }

  unlock() {
    this.#player.unlock();
    this.#live.unlock();
  }

  #connect() {
    clearTimeout(this.#timer);
    this.#live.connect(this.#iceServers).catch((error) => this.#live.fail(error.message));
  }

  /** Tries WebRTC again between two answers; they come over the WebSocket until it works. */
  #retry() {
    if (this.#retries-- <= 0) return;
    const again = () => {
      if (this.turnId) this.#timer = setTimeout(again, RETRY_MS);
      else this.#connect();
    };
    this.#timer = setTimeout(again, RETRY_MS);
  }
}
