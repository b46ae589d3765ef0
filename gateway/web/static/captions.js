// Captions over the face: a line of the answer whose words light up as they are spoken.

export class Captions {
  #element;
  #player;
  #answer = null;
  #key = "";
  #spans = [];
  #frame = 0;

  constructor(element, player) {
    this.#element = element;
    this.#player = player;
  }

  /** Follows an answer while it plays. @param {(sample: number) => void} spoken told of each change */
  follow(answer, spoken) {
    this.clear();
    this.#answer = answer;
    let begun = 0;
    const step = () => {
      const sample = this.#player.positionSamples;
      this.#draw(answer.caption(sample));
      if (answer.begun(sample) !== begun) {
        begun = answer.begun(sample);
        spoken(sample);
      }
      this.#frame = requestAnimationFrame(step);
    };
    step();
  }

  /** Takes the captions away. */
  clear() {
    cancelAnimationFrame(this.#frame);
    this.#answer = null;
    this.#element.classList.remove("shown");
  }

  #draw(caption) {
    if (!caption) return;
    this.#element.classList.add("shown");
    if (caption.key !== this.#key || caption.pieces.length !== this.#spans.length) {
      this.#key = caption.key;
      this.#spans = caption.pieces.map(({ text }) => {
        const span = document.createElement("span");
        span.textContent = text;
        return span;
      });
      const line = document.createElement("span");
      line.append(...this.#spans);
      this.#element.replaceChildren(line);
    }
    caption.pieces.forEach(({ lit }, index) => this.#spans[index].classList.toggle("lit", lit));
  }
}
