// The conversation on the page: the lines of the person and of the digital human.

import { t } from "./i18n.js";
import { kept } from "./kept.js";

const NEAR_END_PX = 80;
const LINES_ABOVE = 1.6; // of an answer, shown above the next words

export class History {
  #list;
  #partial = null;
  #greeting = null;
  #bubbles = new Map();
  #follows = true;
  #scrolledTo = 0;

  constructor(list) {
    this.#list = list;
    list.addEventListener("scroll", () => {
      if (Math.abs(list.scrollTop - this.#scrolledTo) > 1) this.#follows = this.#isAtEnd();
    });
    // A notice or a long question reduces the height: keep the current words in view.
    new ResizeObserver(() => this.#scroll()).observe(list);
    for (const said of kept.said) this.#show(said);
    kept.awaitAnswer((answer) => this.#show(answer));
    // Of an answer that has not ended, the written part counts as heard.
    addEventListener("pagehide", () => {
      for (const [, spoken] of [...this.#bubbles.values()].map(({ childNodes }) => childNodes)) {
        if (spoken.textContent) kept.add("them", spoken.textContent, t("interrupted"));
      }
    });
  }

  /** Adds a spoken or typed question. @param pictures the addresses of what was shown with it */
  addQuestion(text, pictures = []) {
    this.dropPartial();
    const bubble = this.#bubble("me", text);
    bubble.append(...pictures.map((address) => {
      const image = document.createElement("img");
      Object.assign(image, { src: address, alt: t("picture"), className: "shown" });
      return image;
    }));
    this.#append(bubble);
    kept.add("me", text);
  }

  /** Shows the text recognised so far. */
  showPartial(text) {
    if (!text) return;
    if (!this.#partial) {
      this.#partial = this.#bubble("me partial", "");
      // A screen reader reads only the final text.
      this.#partial.setAttribute("aria-hidden", "true");
      this.#append(this.#partial);
    }
    this.#partial.lastChild.textContent = text;
    this.#scroll();
  }

  dropPartial() {
    this.#partial?.remove();
    this.#partial = null;
  }

  /** Shows an answer so far. @param said the spoken text @param ahead the rest */
  showAnswer(turnId, said, ahead) {
    let bubble = this.#bubbles.get(turnId);
    if (!bubble) {
      bubble = this.#bubble("them", "");
      bubble.setAttribute("aria-busy", "true");
      const rest = document.createElement("span");
      rest.className = "ahead";
      bubble.append(rest);
      this.#bubbles.set(turnId, bubble);
      this.#append(bubble);
    }
    const [, spoken, rest] = bubble.childNodes;
    spoken.textContent = said;
    rest.textContent = ahead;
    this.#scroll();
  }

  /** Greets at the start of a conversation; an earlier greeting, in another language, is replaced. */
  greet(text) {
    const [first] = this.#list.children;
    if (first && first !== this.#greeting) return;
    const bubble = this.#bubble("them", text);
    if (first) first.replaceWith(bubble);
    else this.#append(bubble);
    this.#greeting = bubble;
  }

  /**
   * Ends an answer, with a note below it if there is one. Of an answer that was not heard, only the
   * note remains, if any.
   */
  endAnswer(turnId, note) {
    const bubble = this.#bubbles.get(turnId);
    if (!bubble) return;
    this.#bubbles.delete(turnId);
    bubble.removeAttribute("aria-busy");
    const text = bubble.textContent;
    if (!text.trim() && !note) {
      bubble.remove();
      return;
    }
    kept.add("them", text, note);
    this.#note(bubble, note);
    this.#scroll();
  }

  #show({ who, text, note }) {
    const bubble = this.#bubble(who, text);
    this.#append(bubble);
    this.#note(bubble, note);
  }

  #note(bubble, note) {
    if (!note) return;
    const footer = document.createElement("footer");
    footer.textContent = note;
    bubble.append(footer);
  }

  /** Adds a line that is not part of the conversation. */
  remark(text) {
    const line = document.createElement("li");
    line.className = "remark";
    line.textContent = text;
    this.#append(line);
  }

  #bubble(kind, text) {
    const item = document.createElement("li");
    item.className = `message ${kind}`;
    const speaker = document.createElement("span");
    speaker.className = "hidden";
    speaker.textContent = kind === "them" ? "" : `${t("you")}: `;
    const words = document.createElement("span");
    words.dir = "auto";
    words.textContent = text;
    item.append(speaker, words);
    return item;
  }

  #append(item) {
    if (this.#partial && item !== this.#partial) this.#partial.before(item);
    else this.#list.append(item);
    this.#scroll(true);
  }

  /** Keeps the current words or the newest line in view, unless the person has scrolled up. */
  #scroll(always = false) {
    this.#follows ||= always;
    if (!this.#follows) return;
    const list = this.#list;
    const next = list.lastElementChild?.querySelector(".ahead")?.getClientRects()[0];
    const above = next ? next.top - list.getBoundingClientRect().top - LINES_ABOVE * next.height : Infinity;
    list.scrollTop = Math.min(list.scrollTop + above, list.scrollHeight - list.clientHeight);
    this.#scrolledTo = list.scrollTop;
  }

  #isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#list;
    return scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  }
}
