// Captions over the face: a line of the answer whose words light up as they are spoken.

export class Captions {
  #element;
  #player;
  #lit = document.createElement("span");
  #ahead = document.createElement("span");
  #frame = 0;

  constructor(element, player) {
    this.#element = element;
    this.#player = player;
    this.#lit.className = "lit";
    const line = document.createElement("span");
    line.append(this.#lit, this.#ahead);
    element.append(line);
  }

  /** Follows an answer during playback. @param {(sample: number) => void} spoken called on changes */
  follow(answer, spoken) {
    this.clear();
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

  /** Removes the captions. */
  clear() {
    cancelAnimationFrame(this.#frame);
    this.#element.classList.remove("shown");
  }

  #draw(caption) {
    if (!caption) return;
    this.#element.classList.add("shown");
    const { lit, ahead } = caption;
    if (this.#lit.textContent !== lit) this.#lit.textContent = lit;
    if (this.#ahead.textContent !== ahead) this.#ahead.textContent = ahead;
  }
}
