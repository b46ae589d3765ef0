// The question box and its buttons.

import { t } from "./i18n.js";

const HOLD_MS = 350;
const byId = (id) => document.getElementById(id);
const written = (number) => number.toLocaleString(document.documentElement.lang);

/** Events: "released" when a held microphone button is released. */
export class Composer extends EventTarget {
  #box = byId("question");
  #button = byId("microphone");
  #ask;
  #stop;
  #microphone;
  #settings;
  #say;
  #pictures;
  #pressedAt = 0;
  #wasOn = false;
  #most = Infinity;
  #over = 0;

  /** @param parts {ask(text): boolean, stop(), microphone, pictures, settings, say(text)} */
  constructor({ ask, stop, microphone, pictures, settings, say }) {
    super();
    this.#pictures = pictures;
    pictures.addEventListener("changed", () => this.draw());
    this.#ask = ask;
    this.#stop = stop;
    this.#microphone = microphone;
    this.#settings = settings;
    this.#say = say;
    byId("composer").addEventListener("submit", (event) => this.#submit(event));
    byId("stop").addEventListener("click", () => this.#stop());
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    this.#box.addEventListener("input", () => this.draw());
    this.#wireMicrophone();
    microphone.addEventListener("level", ({ detail }) => this.#button.style.setProperty("--level", detail));
    addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && !byId("stop").hidden && !document.querySelector("dialog[open]")) this.#stop();
    });
    this.draw();
  }

  /** Sets the maximum length of a question in Unicode characters, not UTF-16 units. */
  limit(most) {
    this.#most = most;
    this.draw();
  }

  /** Shows the stop button instead of the send button during an answer. */
  showStop(on) {
    byId("stop").hidden = !on;
    byId("send").hidden = on && this.#box.value.trim() === "" && !this.#pictures.count;
    this.#fit();
  }

  #submit(event) {
    event.preventDefault();
    const text = this.#box.value.trim() || (this.#pictures.count ? t("pictureAsk") : "");
    if (!text || this.#over || !this.#ask(text)) return;
    this.#box.value = "";
    this.draw();
  }

  #key(event) {
    // While an input method is composing, Enter accepts its suggestion.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId("composer").requestSubmit();
  }

  /** Updates everything that depends on the text in the box. */
  draw() {
    const text = this.#box.value.trim();
    this.#over = text.length > this.#most ? Math.max(0, [...text].length - this.#most) : 0;
    const places = { over: written(this.#over), most: written(this.#most) };
    byId("too-long").textContent = this.#over ? t("tooLong", places) : "";
    byId("too-long").hidden = !this.#over;
    this.#box.setAttribute("aria-invalid", String(this.#over > 0));
    byId("send").disabled = (text === "" && !this.#pictures.count) || this.#over > 0;
    this.showStop(!byId("stop").hidden);
  }

  /** Fits the height of the box to its text. */
  #fit() {
    this.#box.style.height = "auto";
    this.#box.style.height = `${this.#box.scrollHeight}px`;
  }

  #wireMicrophone() {
    const button = this.#button;
    const isKey = ({ key, repeat }) => !repeat && (key === " " || key === "Enter");
    button.addEventListener("pointerdown", (event) => {
      button.setPointerCapture(event.pointerId);
      this.#press();
    });
    button.addEventListener("pointerup", () => this.#release());
    button.addEventListener("pointercancel", () => this.#release());
    button.addEventListener("keydown", (event) => {
      if (event.key === " " || event.key === "Enter") event.preventDefault();
      if (isKey(event)) this.#press();
    });
    button.addEventListener("keyup", (event) => {
      if (!isKey(event)) return;
      event.preventDefault();
      this.#release();
    });
    // A screen reader's click has no pointer and no key.
    button.addEventListener("click", ({ detail }) => detail === 0 && this.#toggle());
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    this.#settings.addEventListener("micmode", () => this.#show());
  }

  #press() {
    this.#pressedAt = performance.now();
    this.#wasOn = this.#microphone.isOn;
    if (!this.#wasOn) this.#start();
  }

  #release() {
    if (!this.#pressedAt) return;
    const held = performance.now() - this.#pressedAt > HOLD_MS;
    this.#pressedAt = 0;
    const hold = this.#settings.micMode === "hold";
    if (hold || held) {
      this.#turnOff();
      this.dispatchEvent(new Event("released"));
    } else if (this.#wasOn) {
      this.#turnOff();
    }
  }

  #toggle() {
    if (this.#pressedAt) return;
    if (this.#microphone.isOn) this.#turnOff();
    else this.#start();
  }

  /** Turns the microphone off, and says why, while nobody understands the language of the person. */
  mindHearing() {
    const problem = this.#settings.deafness;
    if (!problem || !this.#microphone.isOn) return;
    this.#turnOff();
    this.#say(problem);
  }

  /** Turns the microphone off because it is of no use. */
  mute() {
    if (this.#microphone.isOn) this.#turnOff();
  }

  async #start() {
    if (this.#settings.deafness) {
      this.#say(this.#settings.deafness);
      return;
    }
    const starting = this.#microphone.start();
    this.#show();
    const problem = await starting;
    if (problem || this.#settings.halfDeafness) this.#say(problem ? t(problem) : this.#settings.halfDeafness);
    this.#show();
  }

  #turnOff() {
    this.#microphone.stop();
    this.#show();
  }

  #show() {
    const on = this.#microphone.isOn;
    const hold = this.#settings.micMode === "hold";
    const label = t(on ? "microphoneOff" : hold ? "microphoneHold" : "microphoneOn");
    this.#button.setAttribute("aria-pressed", String(on));
    this.#button.setAttribute("aria-label", label);
    this.#button.title = label;
    this.#microphone.dispatchEvent(new Event("changed"));
  }
}
