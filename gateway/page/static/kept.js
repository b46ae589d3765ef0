// The conversation of this tab; it survives a reload and a lost network.

const KEY = "anima.conversation";
const MOST = 200;

/** Returns a random name that nobody else can guess. */
export function randomName(bytes = 16) {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

class Kept {
  #kept = read();
  #channel = new BroadcastChannel(KEY);

  /** The name under which the gateway stores the conversation. */
  get id() {
    return this.#kept.id;
  }

  /** The lines: [{who: "me" | "them", text, note}], oldest first. */
  get said() {
    return this.#kept.said;
  }

  add(who, text, note = "") {
    this.#channel.onmessage = null;
    this.#append({ who, text, note });
    this.#channel.postMessage({ id: this.id, who, text, note });
  }

  /**
   * Passes on the answer to the last question, once, if another tab hears it: a duplicated tab begins
   * with a copy of what was said, which may end with a question that is being answered.
   */
  awaitAnswer(answered) {
    if (this.said.at(-1)?.who !== "me") return;
    this.#channel.onmessage = ({ data: { id, ...answer } }) => {
      if (id !== this.id || answer.who !== "them") return;
      this.#channel.onmessage = null;
      this.#append(answer);
      answered(answer);
    };
  }

  /** Starts a new conversation. */
  renew() {
    this.#channel.onmessage = null;
    this.#kept = { id: randomName(), said: [] };
    this.#write();
  }

  #append(said) {
    this.#kept.said = [...this.#kept.said, said].slice(-MOST);
    this.#write();
  }

  #write() {
    sessionStorage.setItem(KEY, JSON.stringify(this.#kept));
  }
}

function read() {
  try {
    const { id, said } = JSON.parse(sessionStorage.getItem(KEY));
    if (typeof id === "string" && Array.isArray(said)) return { id, said };
  } catch {
    // Nothing is stored yet, or it is not ours: start a new one.
  }
  return { id: randomName(), said: [] };
}

export const kept = new Kept();
