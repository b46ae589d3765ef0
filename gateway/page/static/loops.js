// The look of the silent face without WebRTC: idle, listening or thinking.

import { idleLoop } from "./api.js";

const THINK_AFTER_MS = 900;
/** Must equal the transition of .look. */
const DISSOLVE_MS = 480;
const LOOKS = { hearing: "listening", thinking: "thinking" };

/** The loops of an avatar are in step: one dissolves into another at the same position. */
export class Loops {
  #screen;
  #idle;
  #looks;
  #avatar = { name: "", version: "" };
  #wanted = "";
  #timer = 0;

  /** @param looks the video elements of the looks, by their names */
  constructor(screen, { idle, looks }) {
    this.#screen = screen;
    this.#idle = idle;
    this.#looks = looks;
  }

  /** Shows the idle loop of an avatar, and loads it again if it was replaced. */
  async show({ name, version }) {
    if (!name || (name === this.#avatar.name && version === this.#avatar.version)) return;
    this.#avatar = { name, version };
    const address = await idleLoop(name, version);
    if (version !== this.#avatar.version || name !== this.#avatar.name) {
      URL.revokeObjectURL(address);
      return;
    }
    for (const video of Object.values(this.#looks)) unload(video);
    const before = this.#idle.src;
    this.#idle.src = address;
    if (before) URL.revokeObjectURL(before);
    this.#idle.addEventListener("playing", () => this.#idle.classList.add("ready"), { once: true });
    this.#idle.play().catch(() => {});
  }

  /** Follows the state of the conversation. @param activity as in app.js */
  attend(activity) {
    const wanted = LOOKS[activity] ?? "";
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    clearTimeout(this.#timer);
    // An answer that starts soon needs no thinking look; until then the look does not change.
    if (wanted === "thinking") this.#timer = setTimeout(() => this.#change(), THINK_AFTER_MS);
    else this.#change();
  }

  /** Prepares the listening look, which may have to be drawn the first time. */
  async listen() {
    if (this.#screen.dataset.media !== "live") await this.#load("listening");
  }

  async #change() {
    if (this.#screen.dataset.media === "live") return;
    const wanted = this.#wanted;
    const video = this.#looks[wanted];
    if (video && !(await this.#ready(video, wanted))) return;
    if (wanted !== this.#wanted) return;
    for (const look of Object.values(this.#looks)) {
      look.classList.toggle("shown", look === video);
      if (look !== video) setTimeout(() => look.classList.contains("shown") || look.pause(), DISSOLVE_MS);
    }
  }

  /** Seeks a loop to the position of the idle loop. @returns {Promise<boolean>} false if none */
  async #ready(video, name) {
    try {
      await this.#load(name);
      video.currentTime = this.#idle.currentTime;
      await video.play();
      return true;
    } catch {
      return false; // the idle loop continues
    }
  }

  async #load(name) {
    const video = this.#looks[name];
    if (video.src) return;
    const address = await idleLoop(this.#avatar.name, this.#avatar.version, name);
    if (video.src) URL.revokeObjectURL(address);
    else video.src = address;
  }
}

function unload(video) {
  video.classList.remove("shown");
  if (!video.src) return;
  URL.revokeObjectURL(video.src);
  video.removeAttribute("src");
  video.load();
}
