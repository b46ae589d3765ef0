// What is known of one answer: its text, its clauses, and when each word is spoken.

const LINE_COLUMNS = 84;

/** Positions are Unicode code points of the text, times are samples of the turn. */
export class Answer {
  #points = [];
  #segments = new Map();

  constructor(turnId) {
    this.turnId = turnId;
    this.words = [];
    /** The text that was heard, once the answer is over; null before. */
    this.heard = null;
    /** True once its first picture or sound was there. */
    this.shown = false;
  }

  get text() {
    return this.#points.join("");
  }

  /** Adds a piece of the text at its place. */
  addText(text, start) {
    const piece = Array.from(text);
    this.#points.splice(start, piece.length, ...piece);
  }

  /** Notes where a clause stands in the text. */
  addSegment(number, start, end) {
    this.#segments.set(number, { start, end });
  }

  /** Adds words with their times; they come in the order in which they are spoken. */
  addWords(words) {
    this.words.push(...words);
  }

  /** How many words have begun at a moment. */
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

  /** The text up to a moment and the text after it. */
  split(sample) {
    const begun = this.begun(sample);
    const end = begun ? this.words[begun - 1].endChar : 0;
    return [this.#points.slice(0, end).join(""), this.#points.slice(end).join("")];
  }

  /**
   * The caption for a moment: the line of the clause that is spoken, cut where its words have begun;
   * null before the first word.
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

  /** Where the punctuation behind a word ends. */
  #closing(end) {
    while (end < this.#points.length && /[^\s\p{L}\p{N}]/u.test(this.#points[end])) end += 1;
    return end;
  }

  /** A clause in lines of about equal length. */
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

/** Columns of a character: an East Asian one takes two. */
const columns = (point) => (point.codePointAt(0) >= 0x2e80 ? 2 : 1);
