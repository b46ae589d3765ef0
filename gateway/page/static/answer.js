// The state of one answer: its text, its clauses, and the times of its words.

const LINE_COLUMNS = 84;

/** Positions are Unicode code points of the text; times are samples of the turn. */
export class Answer {
  #points = [];
  #segments = new Map();

  constructor(turnId) {
    this.turnId = turnId;
    this.words = [];
    /** The heard text once the answer is over; null before. */
    this.heard = null;
    /** True once its first video or audio has been played. */
    this.shown = false;
  }

  get text() {
    return this.#points.join("");
  }

  /** Adds a piece of the text at its position. */
  addText(text, start) {
    const piece = Array.from(text);
    this.#points.splice(start, piece.length, ...piece);
  }

  /** Records the position of a clause in the text. */
  addSegment(number, start, end) {
    this.#segments.set(number, { start, end });
  }

  /** Adds words with their times, in the order in which they are spoken. */
  addWords(words) {
    this.words.push(...words);
  }

  /** Returns the number of words that have started at a given time. */
  begun(sample) {
    let low = 0;
    let high = this.words.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.words[middle].startSample <= sample) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Returns the text up to a given time and the text after it. */
  split(sample) {
    const begun = this.begun(sample);
    const end = begun ? this.words[begun - 1].endChar : 0;
    return [this.#points.slice(0, end).join(""), this.#points.slice(end).join("")];
  }

  /**
   * Returns the caption at a given time: the line of the current clause, split after the words that
   * have started; null before the first word.
   */
  caption(sample) {
    const begun = this.begun(sample);
    const word = this.words[begun - 1];
    const segment = word && this.#segments.get(word.segment);
    if (!segment) return null;
    const line = this.#lines(segment).find(({ end }) => word.startChar < end);
    if (!line) return null;
    const cut = Math.min(this.#closing(word.endChar), line.end);
    const text = (from, to) => this.#points.slice(from, to).join("");
    return { lit: text(line.start, cut), ahead: text(cut, line.end) };
  }

  /** Returns the end of the punctuation after a word. */
  #closing(end) {
    while (end < this.#points.length && /[^\s\p{L}\p{N}]/u.test(this.#points[end])) end += 1;
    return end;
  }

  /** Splits a clause into lines of about equal length. */
  #lines({ start, end }) {
    const points = this.#points.slice(start, end);
    const total = points.reduce((sum, point) => sum + columns(point), 0);
    const target = total / Math.ceil(total / LINE_COLUMNS);
    const lines = [];
    let from = start;
    let filled = 0;
    points.forEach((point, index) => {
      filled += columns(point);
      const mayBreak = point === " " || columns(point) === 2;
      if (filled < target || !mayBreak || index === points.length - 1) return;
      lines.push({ start: from, end: start + index + 1 });
      from = start + index + 1;
      filled = 0;
    });
    return [...lines, { start: from, end }];
  }
}

/** Returns the width of a character in columns: 2 for East Asian ones. */
const columns = (point) => (point.codePointAt(0) >= 0x2e80 ? 2 : 1);
