// The memory about this person: list, export and erase.

import { exportMemory, forgetMemory, listMemory } from "./api.js";
import { interfaceLanguage, t } from "./i18n.js";

const byId = (id) => document.getElementById(id);

export class Memories {
  #user;
  #next = "";

  /** @param {() => string} user returns the user id */
  constructor(user) {
    this.#user = user;
    byId("memory-open").addEventListener("click", () => this.#open());
    byId("memory-more").addEventListener("click", () => this.#load(this.#next));
    byId("memory-export").addEventListener("click", () => this.#try(() => this.#export()));
    byId("memory-forget").addEventListener("click", () => this.#ask(true));
    byId("memory-keep").addEventListener("click", () => this.#ask(false));
    byId("memory-sure").addEventListener("click", () => this.#try(() => this.#forgetAll()));
  }

  #open() {
    this.#ask(false);
    byId("memory").showModal();
    byId("memory-items").replaceChildren();
    return this.#load("");
  }

  #load(pageToken) {
    return this.#try(async () => {
      const { items, next_page_token, total_count } = await listMemory(this.#user(), pageToken);
      this.#next = next_page_token;
      byId("memory-items").append(...items.map((item) => this.#row(item)));
      byId("memory-more").hidden = !next_page_token;
      this.#count(Number(total_count));
    });
  }

  #row(item) {
    const row = document.createElement("li");
    const text = document.createElement("p");
    text.dir = "auto";
    text.textContent = item.text;
    const about = document.createElement("small");
    const when = new Intl.DateTimeFormat(interfaceLanguage(), { dateStyle: "medium", timeStyle: "short" });
    const who = item.kind === "fact" ? "memoryFact" : item.speaker === "user" ? "you" : "memoryThem";
    about.textContent = `${t(who)} · ${when.format(new Date(item.created_unix_ms))}`;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = t("memoryDelete");
    button.setAttribute("aria-label", `${t("memoryDelete")}: ${item.text.slice(0, 60)}`);
    button.addEventListener("click", () => this.#try(() => this.#forget(item, row)));
    row.append(text, about, button);
    return row;
  }

  async #forget(item, row) {
    await forgetMemory(this.#user(), item.item_id);
    (row.nextElementSibling ?? row.previousElementSibling)?.querySelector("button").focus();
    row.remove();
    this.#count((await listMemory(this.#user())).total_count);
  }

  async #forgetAll() {
    await forgetMemory(this.#user());
    this.#ask(false);
    byId("memory-items").replaceChildren();
    byId("memory-more").hidden = true;
    this.#count(0);
  }

  async #export() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await exportMemory(this.#user()));
    link.download = "anima-memory.jsonl";
    link.click();
    URL.revokeObjectURL(link.href);
  }

  #count(count) {
    byId("memory-count").textContent = count ? t("memoryCount", { count }) : t("memoryEmpty");
    byId("memory-export").disabled = byId("memory-forget").disabled = !count;
  }

  #ask(asking) {
    byId("memory-ask").hidden = !asking;
    if (asking) byId("memory-keep").focus();
  }

  async #try(work) {
    byId("memory-wrong").hidden = true;
    try {
      await work();
    } catch (error) {
      byId("memory-wrong").textContent = t("failed", { reason: error.message });
      byId("memory-wrong").hidden = false;
    }
  }
}
