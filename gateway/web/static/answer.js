// What is known of one answer: its text, its clauses, and when each word is spoken.

const LINE_COLUMNS = 84;

/** Positions are Unicode code points of the text, times are samples of the turn. */
export class Answer {
  #points = [];

  constructor(turnId) {
    this.turnId = turnId;
    this.words = [];
    /** The text that was heard, once the answer is over; null before. */
    this.heard = null;
  }

  get text() {
    return this.#points.join("");
  }

  /** Adds a piece of the text at its place. */
  addText(text, start) {
    const piece = Array.from(text);
    this.#points.splice(start, piece.length, ...piece);
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
   * The caption for a moment: pieces of text of one line, each lit or not; null before the first
   * word. A line is part of one clause, so that it changes where the voice pauses.
   */
  caption(sample) {
    const begun = this.begun(sample);
    if (begun === 0) return null;
    const { first, last } = this.#line(begun - 1);
    const pieces = [];
    let at = this.words[first].startChar;
    for (let index = first; index <= last; index += 1) {
      const word = this.words[index];
      const next = index < last ? this.words[index + 1].startChar : this.#closing(index);
      pieces.push({ text: this.#points.slice(at, next).join(""), lit: index < begun });
      at = next;
    }
    return { key: `${first}-${last}`, pieces };
  }

  /** Where the punctuation behind a word ends. */
  #closing(index) {
    const next = this.words[index + 1]?.startChar ?? this.#points.length;
    let end = this.words[index].endChar;
    while (end < next && !/\s/u.test(this.#points[end])) end += 1;
    return end;
  }

  /** The words of the line in which a word stands. */
  #line(index) {
    const { segment } = this.words[index];
    let start = index;
    while (start > 0 && this.words[start - 1].segment === segment) start -= 1;
    let first = start;
    let columns = 0;
    let last = start;
    for (; last < this.words.length && this.words[last].segment === segment; last += 1) {
      columns += width(this.words[last].text) + 1;
      if (columns > LINE_COLUMNS && last > first) {
        if (last > index) break;
        first = last;
        columns = width(this.words[last].text);
      }
    }
    return { first, last: last - 1 };
  }
}

/** Columns of a text: an East Asian character takes two. */
function width(text) {
  let columns = 0;
  for (const point of text) columns += point.codePointAt(0) >= 0x2e80 ? 2 : 1;
  return columns;
}
