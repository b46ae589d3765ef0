// A face from a photo: upload, statement of consent, and the result within seconds.

import { createAvatar } from "./api.js";
import { t } from "./i18n.js";
import { randomName } from "./kept.js";

const byId = (id) => document.getElementById(id);

/** Events: "made" (detail: the name of the avatar to use). */
export class Portrait extends EventTarget {
  #made = "";

  constructor() {
    super();
    byId("portrait-open").addEventListener("click", () => this.#open());
    byId("portrait-photo").addEventListener("change", () => this.#preview());
    byId("portrait-form").addEventListener("submit", (event) => this.#submit(event));
    byId("portrait-close").addEventListener("click", () => byId("portrait").close());
    byId("portrait").addEventListener("close", () => this.#release());
    byId("portrait-use").addEventListener("click", () => {
      byId("portrait").close();
      this.dispatchEvent(new CustomEvent("made", { detail: this.#made }));
    });
  }

  #open() {
    byId("portrait-form").reset();
    this.#show({});
    byId("portrait-picture").hidden = true;
    byId("portrait").showModal();
  }

  #preview() {
    const [photo] = byId("portrait-photo").files;
    this.#show({});
    byId("portrait-picture").hidden = !photo;
    if (!photo) return;
    this.#release();
    byId("portrait-picture").src = URL.createObjectURL(photo);
  }

  #release() {
    const { src } = byId("portrait-picture");
    if (src.startsWith("blob:")) URL.revokeObjectURL(src);
  }

  async #submit(event) {
    event.preventDefault();
    const form = new FormData();
    form.set("name", `portrait-${randomName(6)}`);
    form.set("display_name", byId("portrait-name").value.trim());
    form.set("consent", t("consentText"));
    form.set("photo", byId("portrait-photo").files[0]);
    this.#show({ step: t("portraitSending"), percent: 0 });
    try {
      for await (const told of createAvatar(form)) this.#told(told);
    } catch (error) {
      this.#show({ wrong: error.message });
    }
  }

  #told({ progress, warning, done, error }) {
    if (progress) this.#show({ step: progress.step, percent: progress.percent });
    if (warning) this.#warn(warning.message);
    if (error) this.#show({ wrong: error.message });
    if (!done) return;
    this.#made = done.avatar.name;
    this.#release();
    byId("portrait-picture").src = done.preview;
    this.#show({ done: true });
    byId("portrait-use").focus();
  }

  #show({ step = "", percent = 0, wrong = "", done = false }) {
    byId("portrait-step").textContent = done ? t("portraitDone") : step;
    byId("portrait-progress").hidden = !step;
    byId("portrait-progress").value = percent;
    byId("portrait-wrong").textContent = wrong;
    byId("portrait-wrong").hidden = !wrong;
    byId("portrait-use").hidden = !done;
    byId("portrait-make").hidden = done;
    byId("portrait-make").disabled = Boolean(step);
    if (!step && !done) byId("portrait-warnings").replaceChildren();
  }

  #warn(text) {
    const line = document.createElement("li");
    line.textContent = text;
    byId("portrait-warnings").append(line);
  }
}
