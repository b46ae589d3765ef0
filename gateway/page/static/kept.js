// The conversation of this tab: it outlives a reload and a lost network.

const KEY = "anima.conversation";
const MOST = 200;

/** A random name that nobody else can guess. */
export function randomName(bytes = 16) {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

class Kept {
  #kept = read();

  /** The name under which the gateway knows the conversation. */
  get id() {
    return this.#kept.id;
  }

  /** What was said: [{who: "me" | "them", text, note}], oldest first. */
  get said() {
    return this.#kept.said;
  }

  add(who, text, note = "") {
    this.#kept.said = [...this.#kept.said, { who, text, note }].slice(-MOST);
    this.#write();
  }

  /** Begins another conversation. */
  renew() {
    this.#kept = { id: randomName(), said: [] };
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
    // Nothing is kept yet, or it is not ours: begin anew.
  }
  return { id: randomName(), said: [] };
}

export const kept = new Kept();
