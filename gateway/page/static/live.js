// The WebRTC connection: one continuous stream with the idle loop and the answers in it.

/** The reason of a connection that does not come about in time. */
export const NO_CONNECTION = "no connection";

const CONNECT_MS = 3_000;
const LOST_MS = 2_000;
const STATS_MS = 500;
// Video and silence never stop, so their absence shows a lost connection long before ICE does.
const MOST_SILENT_STATS = 4;
const FADE_MS = 80;
const USUAL_DELAY_MS = 80;
// The latency of the audio device after the jitter buffer, if the browser does not report it.
const DEVICE_MS = 40;
// On a busy machine audio may be delayed for a second or more.
const LONGEST_DELAY_MS = 2_000;

/**
 * The events of Player, and "connected", "lost" (detail: {reason, turnId, connected}, the last of
 * which tells whether it ever was; media then arrives another way), "signal" (detail: an event for
 * the gateway).
 */
export class LivePlayer extends EventTarget {
  #screen;
  #video;
  #peer = null;
  #timer = 0;
  #statistics = 0;
  #fade = 0;
  #delayMs = USUAL_DELAY_MS;
  #buffered = { delay: 0, count: 0 };
  #device = { delay: 0, count: 0 };
  #deviceMs = DEVICE_MS;
  #received = { bytes: 0, silent: 0 };
  #pictures = null;
  #turn = null;
  #stopped = "";
  #wasConnected = false;

  constructor(screen, video) {
    super();
    this.#screen = screen;
    this.#video = video;
    video.addEventListener("playing", () => {
      if (this.isConnected) screen.dataset.media = "live";
    });
  }

  /** True once the stream can be played here. */
  static get isPossible() {
    return typeof RTCPeerConnection === "function";
  }

  get isConnected() {
    return this.#peer?.connectionState === "connected";
  }

  /** The current turn; null if none. */
  get turnId() {
    return this.#turn?.shown ? this.#turn.id : null;
  }

  /** The sample that is heard now, on the turn's clock. */
  get positionSamples() {
    const turn = this.#turn;
    if (!turn) return 0;
    const elapsed = turn.running ? Math.max(0, performance.now() - turn.at) : 0;
    return Math.floor(turn.sample + (elapsed / 1000) * turn.rateHz);
  }

  /** Connects; "connected" or "lost" follows within three seconds. */
  async connect(iceServers) {
    this.close();
    const peer = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.#peer = peer;
    this.#wasConnected = false;
    const stream = new MediaStream();
    this.#pictures = peer.addTransceiver("video", { direction: "recvonly" }).receiver;
    this.#delay(USUAL_DELAY_MS);
    peer.addTransceiver("audio", { direction: "recvonly" });
    peer.ontrack = ({ track, streams }) => {
      if (streams[0]) this.#video.srcObject = streams[0];
      else this.#video.srcObject = (stream.addTrack(track), stream);
      this.#video.play().catch(() => {});
    };
    peer.onicecandidate = ({ candidate }) => {
      if (candidate && peer === this.#peer) this.#signal("candidate", candidate.toJSON());
    };
    peer.onconnectionstatechange = () => peer === this.#peer && this.#changed(peer.connectionState);
    this.#video.muted = true;
    this.#timer = setTimeout(() => this.#lose(NO_CONNECTION), CONNECT_MS);
    await peer.setLocalDescription(await peer.createOffer());
    if (peer === this.#peer) this.#signal("offer", { sdp: peer.localDescription.sdp });
  }

  /** Applies the gateway's SDP answer. */
  async answer(sdp) {
    if (this.#peer?.signalingState !== "have-local-offer") return;
    await this.#peer.setRemoteDescription({ type: "answer", sdp });
  }

  /** Gives up, because the gateway has refused or the connection is lost. */
  fail(reason) {
    if (this.#peer) this.#lose(reason);
  }

  /** Closes the connection without an event. */
  close() {
    clearTimeout(this.#timer);
    clearInterval(this.#statistics);
    this.#buffered = { delay: 0, count: 0 };
    this.#device = { delay: 0, count: 0 };
    this.#received = { bytes: 0, silent: 0 };
    const peer = this.#peer;
    this.#peer = null;
    peer?.close();
    this.#turn = null;
    this.#video.srcObject = null;
    delete this.#screen.dataset.media;
  }

  /** Processes the gateway's playback state of the current answer. */
  follow({ turn_id, sample, sample_rate_hz, running, done }) {
    if (turn_id === this.#stopped) return;
    const first = this.#turn?.id !== turn_id;
    const before = first ? null : this.#turn;
    const at = performance.now() + this.#delayMs;
    const turn = { id: turn_id, sample, rateHz: sample_rate_hz, running, at, shown: before?.shown ?? false };
    this.#turn = turn;
    if (first) {
      cancelAnimationFrame(this.#fade);
      this.#video.volume = 1;
      this.#unmute();
    }
    setTimeout(() => this.#arrive(turn, done), this.#delayMs);
  }

  /** Stops at once: the audio fades out within 80 ms, and the gateway stops sending. */
  stop() {
    const turn = this.#turn;
    if (!turn) return;
    this.#stopped = turn.id;
    this.#turn = null;
    this.#screen.dataset.state = "idle";
    const from = performance.now();
    const step = () => {
      const left = Math.max(0, 1 - (performance.now() - from) / FADE_MS);
      this.#video.volume = left;
      if (left > 0) this.#fade = requestAnimationFrame(step);
    };
    step();
  }

  /** Mutes the answer while the gateway holds it, and unmutes it afterwards. */
  hold(held) {
    if (this.#turn) this.#video.volume = held ? 0 : 1;
  }

  /** Starts playing after a gesture of the person. */
  unlock() {
    this.#unmute();
  }

  #arrive(turn, done) {
    // A later report about the same turn has already replaced this one.
    if (this.#turn?.id !== turn.id) return;
    const shown = this.#turn.shown;
    this.#turn.shown = true;
    const detail = { turnId: turn.id, samples: turn.sample };
    if (!shown && turn.running) {
      this.#screen.dataset.state = "talk";
      this.dispatchEvent(new CustomEvent("shown", { detail }));
    }
    if (!done) return;
    this.#turn = null;
    this.#screen.dataset.state = "idle";
    this.dispatchEvent(new CustomEvent("ended", { detail }));
  }

  #unmute() {
    this.#video.muted = false;
    this.#video.play().catch((error) => {
      if (error.name !== "NotAllowedError") return;
      this.#video.muted = true;
      this.#video.play().catch(() => {});
      this.dispatchEvent(new Event("blocked"));
    });
  }

  #changed(state) {
    clearTimeout(this.#timer);
    if (state === "connected") {
      this.#wasConnected = true;
      this.#statistics = setInterval(() => this.#measure(), STATS_MS);
      this.dispatchEvent(new Event("connected"));
    } else if (state === "failed" || state === "closed") {
      this.#lose(state);
    } else if (state === "disconnected") {
      this.#timer = setTimeout(() => this.#lose(state), LOST_MS);
    } else {
      this.#timer = setTimeout(() => this.#lose(NO_CONNECTION), CONNECT_MS);
    }
  }

  #lose(reason) {
    this.#signal("hang_up", {});
    const turnId = this.#turn?.id;
    const connected = this.#wasConnected;
    this.close();
    this.#screen.dataset.state = "idle";
    this.dispatchEvent(new CustomEvent("lost", { detail: { reason, turnId, connected } }));
  }

  /**
   * Detects a lost connection, and delays video as long as audio. By itself a browser leaves an
   * offset of up to about 50 ms, and follows a growing audio buffer only slowly.
   */
  async #measure() {
    const peer = this.#peer;
    const reports = [...(await peer.getStats()).values()];
    if (peer !== this.#peer) return;
    const received = reports.filter(({ type }) => type === "inbound-rtp");
    const sound = received.find(({ kind }) => kind === "audio");
    const device = reports.find(({ type }) => type === "media-playout");
    if (device) {
      const total = { delay: device.totalPlayoutDelay, count: device.totalSamplesCount };
      this.#deviceMs = meanMs(this.#device, total) ?? this.#deviceMs;
      this.#device = total;
    }
    if (sound) {
      const total = { delay: sound.jitterBufferDelay, count: sound.jitterBufferEmittedCount };
      const bufferedMs = meanMs(this.#buffered, total);
      if (bufferedMs !== null) this.#delay(bufferedMs + this.#deviceMs);
      this.#buffered = total;
    }
    this.#tellOffset(sound, received.find(({ kind }) => kind === "video"));
    this.#watch(received.reduce((sum, { bytesReceived }) => sum + bytesReceived, 0));
  }

  /** Reports by how much video is ahead of its audio, on the gateway's clock. */
  #tellOffset(sound, pictures) {
    if (!this.#turn?.shown) return;
    const aheadMs = pictures?.estimatedPlayoutTimestamp - sound?.estimatedPlayoutTimestamp;
    if (Number.isFinite(aheadMs)) this.#signal("av_offset", { us: Math.round(aheadMs * 1000) });
  }

  #watch(bytes) {
    const silent = bytes > this.#received.bytes ? 0 : this.#received.silent + 1;
    this.#received = { bytes, silent };
    if (silent >= MOST_SILENT_STATS) this.#lose("nothing arrives");
  }

  #delay(ms) {
    this.#delayMs = Math.min(ms, LONGEST_DELAY_MS);
    // Without this setting the browser's own synchronisation has to suffice.
    if ("jitterBufferTarget" in this.#pictures) this.#pictures.jitterBufferTarget = this.#delayMs;
  }

  #signal(kind, fields) {
    const detail = { ...fields, type: `anima.webrtc.${kind}` };
    this.dispatchEvent(new CustomEvent("signal", { detail }));
  }
}

/** Returns the mean delay between two totals of seconds and samples; null if none was played. */
function meanMs(before, total) {
  const count = total.count - before.count;
  return count > 0 ? ((total.delay - before.delay) / count) * 1000 : null;
}
