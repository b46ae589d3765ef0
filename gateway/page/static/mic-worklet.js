// Runs in the audio thread: microphone samples at the device's rate in, 16 kHz PCM16 out.

const OUT_HZ = 16_000;
const CHUNK_SAMPLES = 640;
const HALF_WIDTH = 16; // taps on each side, at the output's rate
const PHASES = 128;
const FORGETTING = 0.99; // factor of a channel's power per block of 128 samples
const LOUDER = 4;

/** Returns the taps of a windowed sinc: the low-pass filter for 16 kHz. */
function lowPass(ratio) {
  const reach = HALF_WIDTH * ratio;
  const taps = new Float32Array(Math.ceil(reach) * PHASES + 2);
  for (let index = 0; index < taps.length; index += 1) {
    const at = index / PHASES;
    const x = (Math.PI * at * 0.94) / ratio;
    const window = at < reach ? 0.5 + 0.5 * Math.cos((Math.PI * at) / reach) : 0;
    taps[index] = (x === 0 ? 1 : Math.sin(x) / x) * window * (0.94 / ratio);
  }
  return taps;
}

class Microphone extends AudioWorkletProcessor {
  #ratio = sampleRate / OUT_HZ;
  #reach = Math.ceil(HALF_WIDTH * this.#ratio);
  #taps = lowPass(this.#ratio);
  #held = new Float32Array(2 * this.#reach); // input still needed; silence before the start
  #next = this.#reach; // position of the next output sample in it
  #chunk = new Int16Array(CHUNK_SAMPLES);
  #filled = 0;
  #energy = 0;
  #powers = [];
  #channel = 0;

  process([input]) {
    const samples = this.#loudest(input);
    if (!samples) return true;
    const held = new Float32Array(this.#held.length + samples.length);
    held.set(this.#held);
    held.set(samples, this.#held.length);
    while (this.#next + this.#reach < held.length) {
      this.#emit(this.#at(held, this.#next));
      this.#next += this.#ratio;
    }
    const done = Math.floor(this.#next) - this.#reach;
    this.#held = held.slice(done);
    this.#next -= done;
    return true;
  }

  /** The loudest channel: some devices have two, with the microphone on only one of them. */
  #loudest(input) {
    if (input.length > 1) {
      this.#powers = input.map((samples, at) =>
        samples.reduce((sum, value) => sum + value * value, FORGETTING * (this.#powers[at] ?? 0)),
      );
      const most = Math.max(...this.#powers);
      if (most > LOUDER * (this.#powers[this.#channel] ?? 0)) this.#channel = this.#powers.indexOf(most);
    }
    return input[this.#channel] ?? input[0];
  }

  #at(held, position) {
    const first = Math.ceil(position - this.#reach);
    const last = Math.floor(position + this.#reach);
    let sum = 0;
    for (let index = first; index <= last; index += 1) {
      sum += held[index] * this.#taps[Math.round(Math.abs(index - position) * PHASES)];
    }
    return sum;
  }

  #emit(value) {
    this.#energy += value * value;
    this.#chunk[this.#filled] = Math.max(-32768, Math.min(32767, Math.round(value * 32767)));
    this.#filled += 1;
    if (this.#filled < CHUNK_SAMPLES) return;
    const message = { pcm: this.#chunk.buffer, rms: Math.sqrt(this.#energy / CHUNK_SAMPLES) };
    this.port.postMessage(message, [message.pcm]);
    this.#chunk = new Int16Array(CHUNK_SAMPLES);
    this.#filled = 0;
    this.#energy = 0;
  }
}

registerProcessor("microphone", Microphone);
