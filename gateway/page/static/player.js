// Shows an answer: one media stream per turn, over the idle loop.

import { FRAGMENT, INIT, LAST } from "./connection.js";

const Source = globalThis.ManagedMediaSource ?? globalThis.MediaSource;
const FADE_MS = 80;
const START_BUFFER_S = 0.2;
const STALL_BUFFER_S = 0.4;
const LAST_PACKET_S = 0.06;
const REPORT_MS = 250;
const KEPT_BEHIND_S = 10;

const CODECS = ["opus", "mp4a.40.2"];

/** The audio codecs that this browser plays with H.264, best first; empty: no live video. */
export function playableCodecs() {
  if (!Source) return [];
  return CODECS.filter((codec) => Source.isTypeSupported(`video/mp4; codecs="avc1.42E01E,${codec}"`));
}

/**
 * Events: "shown" (first video or audio of a turn), "progress" and "ended"
 * (detail: {turnId, samples}), "stalled", "blocked" (the browser requires a gesture first),
 * "broken" (detail: why the browser cannot play the stream).
 */
export class Player extends EventTarget {
  #screen;
  #video;
  #stream = null;
  #queue = [];
  /** The next stream of the same turn, played after this one: {stream, queue}. */
  #next = null;
  #source = null;
  #buffer = null;
  #objectUrl = "";
  #started = false;
  #held = false;
  #needed = START_BUFFER_S;
  #reporter = 0;
  #fade = 0;
  /** The number of times that playback ran dry. */
  stalls = 0;

  constructor(screen, video) {
    super();
    this.#screen = screen;
    this.#video = video;
    video.disableRemotePlayback = true;
    video.addEventListener("playing", () => this.#stream && this.#show());
    video.addEventListener("waiting", () => this.#ranDry());
    video.addEventListener("ended", () => this.#ended());
    video.addEventListener("error", () => this.#broke());
  }

  /** The current turn; null if none. */
  get turnId() {
    return this.#stream?.turnId ?? null;
  }

  /** The sample that is heard now, on the turn's clock. */
  get positionSamples() {
    if (!this.#stream) return 0;
    return Math.floor(this.#stream.startSample + this.#video.currentTime * this.#stream.rateHz);
  }

  /** Prepares for a stream. @param stream {id, epoch, turnId, mediaType, rateHz, startSample} */
  open(stream) {
    if (this.#stream?.turnId === stream.turnId && this.#stream.epoch === stream.epoch) {
      this.#next = { stream, queue: [] };
      return;
    }
    this.#drop();
    this.#stream = stream;
    this.#source = new Source();
    const source = this.#source;
    source.addEventListener("sourceopen", () => {
      if (source !== this.#source) return;
      this.#buffer = source.addSourceBuffer(stream.mediaType);
      this.#buffer.addEventListener("updateend", () => source === this.#source && this.#pump());
      this.#pump();
    }, { once: true });
    this.#objectUrl = URL.createObjectURL(source);
    this.#video.src = this.#objectUrl;
    this.#video.volume = 1;
    this.#video.muted = false;
  }

  /** Processes a binary message; drops those of another stream or an older epoch. */
  feed({ kind, stream, epoch, bytes }) {
    if (!this.#stream || epoch < this.#stream.epoch) return;
    const following = stream === this.#next?.stream.id;
    if (!following && stream !== this.#stream.id) return;
    const queue = following ? this.#next.queue : this.#queue;
    if (kind === INIT || kind === FRAGMENT) queue.push(bytes);
    if (kind === LAST) queue.push(null);
    if (!following) this.#pump();
  }

  /** Stops at once: the audio fades out within 80 ms, and the rest is dropped. */
  stop() {
    if (!this.#stream) return;
    this.#report("progress");
    this.#stream = this.#next = null;
    this.#queue = [];
    this.#screen.dataset.state = "idle";
    clearInterval(this.#reporter);
    const from = performance.now();
    const step = () => {
      const left = 1 - (performance.now() - from) / FADE_MS;
      if (left > 0) {
        this.#video.volume = left;
        this.#fade = requestAnimationFrame(step);
      } else {
        this.#drop();
      }
    };
    step();
  }

  /** Pauses the answer, or resumes it at the same position. */
  hold(held) {
    this.#held = held && this.#stream !== null;
    if (this.#held) this.#video.pause();
    else if (this.#stream) this.#play();
  }

  /** Starts playing after a gesture of the person. */
  unlock() {
    this.#video.play().catch(() => {});
  }

  /** Seconds of buffered media. */
  get #ahead() {
    const { buffered, currentTime } = this.#video;
    return buffered.length ? buffered.end(buffered.length - 1) - currentTime : 0;
  }

  #pump() {
    const buffer = this.#buffer;
    if (!buffer || buffer.updating || this.#source.readyState !== "open") return;
    if (this.#queue.length > 0) {
      const bytes = this.#queue[0];
      if (bytes === null) {
        this.#queue = [];
        this.#needed = 0;
        this.#source.endOfStream();
        // Paused within the last packet: resuming from the very end would restart the stream.
        if (this.#video.paused && this.#started && this.#ahead < LAST_PACKET_S) {
          this.#ended();
          return;
        }
      } else if (this.#append(bytes)) {
        this.#queue.shift();
      }
    }
    this.#play();
  }

  #append(bytes) {
    try {
      this.#buffer.appendBuffer(bytes);
      return true;
    } catch (error) {
      if (error.name !== "QuotaExceededError") throw error;
      // Full: remove played media first; `updateend` then appends again.
      this.#buffer.remove(0, Math.max(0.1, this.#video.currentTime - KEPT_BEHIND_S));
      return false;
    }
  }

  #play() {
    const ahead = this.#ahead;
    if (this.#held || !this.#video.paused || ahead <= 0 || ahead < this.#needed) return;
    this.#video.play().catch((error) => {
      if (error.name === "NotAllowedError") this.dispatchEvent(new Event("blocked"));
    });
  }

  #show() {
    if (this.#started) return;
    this.#started = true;
    const stream = this.#stream;
    this.#screen.dataset.state = stream.mediaType.startsWith("video") ? "talk" : "voice";
    this.#reporter = setInterval(() => this.#report("progress"), REPORT_MS);
    this.dispatchEvent(new CustomEvent("shown", { detail: { turnId: stream.turnId } }));
  }

  #ranDry() {
    if (!this.#started || !this.#stream || this.#source?.readyState !== "open") return;
    if (this.#ahead > START_BUFFER_S) return; // it is just starting
    this.stalls += 1;
    this.#needed = STALL_BUFFER_S;
    this.#video.pause();
    this.dispatchEvent(new Event("stalled"));
  }

  #ended() {
    if (!this.#stream) return;
    if (this.#next) {
      const { stream, queue } = this.#next;
      this.#drop();
      this.open(stream);
      this.#queue = queue;
      return;
    }
    this.#report("ended");
    this.#stream = null;
    clearInterval(this.#reporter);
    this.#screen.dataset.state = "idle";
  }

  #broke() {
    if (!this.#stream) return; // an empty source also raises an error
    const detail = this.#video.error?.message ?? "";
    this.#drop();
    this.dispatchEvent(new CustomEvent("broken", { detail }));
  }

  #report(type) {
    if (!this.#stream) return;
    const detail = { turnId: this.#stream.turnId, samples: this.positionSamples };
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #drop() {
    cancelAnimationFrame(this.#fade);
    clearInterval(this.#reporter);
    this.#stream = this.#next = this.#source = this.#buffer = null;
    this.#queue = [];
    this.#started = this.#held = false;
    this.#needed = START_BUFFER_S;
    this.#screen.dataset.state = "idle";
    this.#video.pause();
    if (this.#objectUrl) {
      URL.revokeObjectURL(this.#objectUrl);
      this.#objectUrl = "";
      this.#video.removeAttribute("src");
      this.#video.load();
    }
  }
}
