// Pictures that the person pastes, drops, photographs or chooses, until they are shown with a question.

import { t } from "./i18n.js";

const MOST = 4;
const MAX_SIDE_PX = 1280;
const QUALITY = 0.85;
const PIECE_CHARS = 160_000; // of base64; a multiple of four

const byId = (id) => document.getElementById(id);
const isPicture = ({ type }) => type.startsWith("image/");

/** Event: "changed". */
export class Pictures extends EventTarget {
  #list = byId("pictures");
  #file = byId("picture-file");
  #waiting = [];
  #say;

  /** @param {(text: string) => void} say shows a problem */
  constructor(say) {
    super();
    this.#say = say;
    byId("picture-add").addEventListener("click", () => this.#file.click());
    this.#file.addEventListener("change", () => {
      this.#add([...this.#file.files]);
      this.#file.value = "";
    });
    addEventListener("paste", ({ clipboardData }) => this.#add([...clipboardData.files].filter(isPicture)));
    addEventListener("dragover", (event) => event.dataTransfer.types.includes("Files") && event.preventDefault());
    addEventListener("drop", (event) => {
      if (!event.dataTransfer.files.length) return;
      event.preventDefault();
      this.#add([...event.dataTransfer.files].filter(isPicture));
    });
  }

  get count() {
    return this.#waiting.length;
  }

  /** Sends what has not been sent yet; the next question is about it. @param {(event) => boolean} send */
  show(send) {
    for (const picture of this.#waiting.filter(({ sent }) => !sent)) {
      for (let start = 0; start < picture.base64.length; start += PIECE_CHARS) {
        const end = start + PIECE_CHARS;
        const data = picture.base64.slice(start, end);
        send({ type: "anima.picture.append", data, more: end < picture.base64.length });
      }
      picture.sent = true;
    }
  }

  /** Returns the addresses of the pictures and forgets them: they were shown with a question. */
  take() {
    const addresses = this.#waiting.map(({ address }) => address);
    this.#waiting = [];
    this.#draw();
    return addresses;
  }

  /** The connection was lost: nothing that was sent counts. */
  unsend() {
    for (const picture of this.#waiting) picture.sent = false;
  }

  async #add(files) {
    for (const file of files) {
      if (this.#waiting.length >= MOST) return this.#say(t("pictureMost", { most: MOST }));
      try {
        this.#waiting.push(await small(file));
      } catch {
        this.#say(t("notAPicture"));
      }
    }
    this.#draw();
  }

  #remove(picture) {
    this.#waiting = this.#waiting.filter((each) => each !== picture);
    URL.revokeObjectURL(picture.address);
    if (picture.sent) {
      // The gateway drops all; the others are sent again with the question.
      this.unsend();
      this.dispatchEvent(new Event("cleared"));
    }
    this.#draw();
  }

  #draw() {
    this.#list.replaceChildren(...this.#waiting.map((picture) => {
      const item = document.createElement("li");
      const image = document.createElement("img");
      image.src = picture.address;
      image.alt = t("picture");
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-label", t("pictureRemove"));
      button.textContent = "×";
      button.addEventListener("click", () => this.#remove(picture));
      item.append(image, button);
      return item;
    }));
    this.#list.hidden = !this.#waiting.length;
    this.dispatchEvent(new Event("changed"));
  }
}

/** Returns a picture as a small JPEG: the pixels alone, without place, camera and time. */
async function small(file) {
  const bitmap = await createImageBitmap(file);
  const zoom = Math.min(1, MAX_SIDE_PX / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * zoom));
  canvas.height = Math.max(1, Math.round(bitmap.height * zoom));
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // behind what is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let binary = "";
  for (let start = 0; start < bytes.length; start += 32_768) {
    binary += String.fromCharCode(...bytes.subarray(start, start + 32_768));
  }
  return { base64: btoa(binary), address: URL.createObjectURL(blob), sent: false };
}
