// The microphone: 16 kHz PCM16 and a level while it is on, nothing while it is off.

/** Samples per second of the microphone's audio. */
export const MICROPHONE_RATE_HZ = 16_000;

const FLOOR_DB = -55;
const ERRORS = {
  NotAllowedError: "micDenied",
  SecurityError: "micDenied",
  NotFoundError: "micMissing",
  OverconstrainedError: "micMissing",
  NotReadableError: "micBusy",
};

/** Events: "audio" (detail: ArrayBuffer), "level" (detail: 0 to 1). */
export class Microphone extends EventTarget {
  #context = null;
  #stream = null;
  #wanted = false;

  get isOn() {
    return this.#wanted;
  }

  /** Turns it on. @returns {Promise<string | null>} the key of a message for the person, or null */
  async start() {
    if (!navigator.mediaDevices?.getUserMedia) return "micInsecure";
    this.#wanted = true;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
      });
      const context = new AudioContext();
      await context.audioWorklet.addModule(new URL("mic-worklet.js", import.meta.url));
      this.#stream = stream;
      this.#context = context;
      if (!this.#wanted) this.#release();
      else this.#listen(stream, context);
      return null;
    } catch (error) {
      this.stop();
      return ERRORS[error.name] ?? "micBusy";
    }
  }

  /** Turns it off: nothing is recorded or sent any more. */
  stop() {
    this.#wanted = false;
    this.#release();
    this.dispatchEvent(new CustomEvent("level", { detail: 0 }));
  }

  #listen(stream, context) {
    const node = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data: { pcm, rms } }) => {
      if (!this.#wanted) return;
      const loudness = 20 * Math.log10(Math.max(rms, 1e-5));
      const level = Math.max(0, Math.min(1, 1 - loudness / FLOOR_DB));
      this.dispatchEvent(new CustomEvent("level", { detail: level }));
      this.dispatchEvent(new CustomEvent("audio", { detail: pcm }));
    };
    context.createMediaStreamSource(stream).connect(node);
  }

  #release() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#context?.close();
    this.#stream = this.#context = null;
  }
}
