// The choices of the person (persona, face, voice, language) and the states of the stages.

import { randomName } from "./kept.js";
import { interfaceLanguage, stageName, t } from "./i18n.js";

const KEY = "anima.choices";
const USER_KEY = "anima.user";
/** Of the persona's speed; the gateway takes 0.6 to 1.6. */
const SPEEDS = [0.6, 0.8, 1, 1.2, 1.4, 1.6];
const byId = (id) => document.getElementById(id);

/** Events: "changed" when the choice has changed. */
export class Settings extends EventTarget {
  #mesh = { stages: [], personas: [], voices: [], avatars: [] };
  #choices = {
    persona: "",
    avatar: "",
    voice: "",
    speed: "1",
    language: "",
    micMode: "open",
    ...stored(KEY),
  };

  constructor() {
    super();
    for (const name of ["persona", "avatar", "voice", "speed", "language"]) {
      byId(name).addEventListener("change", ({ target }) => this.#choose(name, target.value));
    }
    byId("mic-mode").addEventListener("change", ({ target }) => {
      this.#choices.micMode = target.value;
      this.#keep();
      this.dispatchEvent(new Event("micmode"));
    });
  }

  get micMode() {
    return this.#choices.micMode;
  }

  /** The current persona; undefined before the mesh is known. */
  get persona() {
    const { personas } = this.#mesh;
    return personas.find(({ name }) => name === this.#choices.persona) ?? personas[0];
  }

  /** The face that is shown: {name, version}, empty before the mesh is known. */
  get avatar() {
    const { avatars } = this.#mesh;
    const known = [this.#choices.avatar, this.persona?.avatar]
      .map((name) => avatars.find((avatar) => avatar.name === name))
      .find(Boolean);
    return known ?? avatars[0] ?? { name: "", version: "" };
  }

  /** True if every stage is ready. */
  get allReady() {
    return this.#mesh.stages.every(({ ready }) => ready);
  }

  /** The `anima` part of `session.update`. */
  get session() {
    const { persona, avatar, language } = this.#choices;
    return {
      persona,
      avatar,
      language,
      user_id: userId(),
      time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone ?? "",
      notice_language: interfaceLanguage(),
    };
  }

  get voice() {
    return this.#choices.voice;
  }

  get speed() {
    return Number(this.#choices.speed);
  }

  /** Takes over what the person has asked the face for: another voice or speed. */
  follow(voice, speed) {
    Object.assign(this.#choices, { voice, speed: String(speed) });
    this.#keep();
    this.draw();
  }

  /** The language of the conversation, or else of the page. */
  get #language() {
    return this.#choices.language || interfaceLanguage();
  }

  /** What to tell a person who speaks none of the languages that are understood; empty if one is. */
  get deafness() {
    const { language } = this.#choices;
    const { languages: offered = [] } = this.persona ?? {};
    const spoken = language ? [language] : offered.length ? offered : [this.#language];
    return spoken.some((tag) => this.#hears(tag)) ? "" : this.#told("micLanguage", spoken[0]);
  }

  /**
   * What to tell a person who has chosen no language and may speak that of the page, which is not
   * understood; empty if it is. The microphone is of use all the same: people speak more than one.
   */
  get halfDeafness() {
    if (this.#choices.language || this.#hears(interfaceLanguage())) return "";
    return this.#told("micOnly", interfaceLanguage());
  }

  #hears(tag) {
    const { languages = [] } = engineOf(this.#mesh, "asr") ?? {};
    return !languages.length || speaks(languages, tag);
  }

  #told(key, tag) {
    const { languages, more_languages: more = "" } = engineOf(this.#mesh, "asr");
    const places = { language: nameOf(tag), known: languages.map(nameOf).join(", ") };
    return [t(key, places), more && t("micMore", { more })].filter(Boolean).join(" ");
  }

  /** Texts of the persona in the language of the conversation, or else of the page. */
  texts(kind) {
    const wanted = this.#language;
    const all = this.persona?.[kind] ?? [];
    return all.filter(({ language }) => primary(language) === primary(wanted)).map(({ text }) => text);
  }

  /** Applies a description of the mesh. @returns {boolean} true if a choice had to be dropped */
  show(mesh) {
    this.#mesh = mesh;
    const before = JSON.stringify(this.#choices);
    // A choice that is no longer offered would be rejected.
    for (const [name, list] of [["persona", mesh.personas], ["avatar", mesh.avatars], ["voice", mesh.voices]]) {
      if (list.length && !list.some((item) => item.name === this.#choices[name])) this.#choices[name] = "";
    }
    this.draw();
    return before !== JSON.stringify(this.#choices);
  }

  /** Fills the settings sheet. */
  draw() {
    const { personas, avatars, voices } = this.#mesh;
    const languages = this.persona?.languages ?? [];
    const labelOf = (tag) => (this.#hears(tag) ? nameOf(tag) : t("typedOnly", { language: nameOf(tag) }));
    const fits = (voice) =>
      !this.#choices.language || voice.languages.some((tag) => tag.startsWith(this.#choices.language));
    fill("persona", personas.map(labelled), this.persona?.name ?? "", false);
    fill("avatar", avatars.map(labelled), this.#choices.avatar);
    fill("voice", voices.filter(fits).map(labelled), this.#choices.voice);
    const { voice } = this.#choices;
    const noted = voices.filter(fits).find(({ name, note }) => (voice ? name === voice : note));
    byId("voice-note").textContent = noted?.note ? noteOf(noted) : "";
    const speeds = new Set([...SPEEDS, this.speed]);
    fill("speed", [...speeds].sort().map((speed) => [String(speed), percent(speed)]), String(this.speed), false);
    fill("language", languages.map((tag) => [tag, labelOf(tag)]), this.#choices.language);
    byId("mic-mode").value = this.#choices.micMode;
    byId("persona-name").textContent = this.persona?.display_name ?? "";
    byId("persona-about").textContent = this.texts("descriptions")[0] ?? this.persona?.description ?? "";
    byId("stages").replaceChildren(...this.#mesh.stages.map(stageRow));
  }

  /** Selects a choice for the person. @returns {boolean} false if it is not offered */
  use(name, value) {
    if (!this.#mesh[`${name}s`].some((item) => item.name === value)) return false;
    this.#choose(name, value);
    return true;
  }

  #choose(name, value) {
    this.#choices[name] = value;
    if (name === "persona") Object.assign(this.#choices, { avatar: "", voice: "", language: "" });
    if (name === "language") this.#choices.voice = "";
    this.#keep();
    this.draw();
    this.dispatchEvent(new Event("changed"));
  }

  #keep() {
    localStorage.setItem(KEY, JSON.stringify(this.#choices));
  }
}

const primary = (tag) => tag.toLowerCase().split("-")[0];
const speaks = (languages, wanted) => languages.some((tag) => primary(tag) === primary(wanted));
const nameOf = (tag) => new Intl.DisplayNames(interfaceLanguage(), { type: "language" }).of(tag);
const engineOf = ({ stages }, name) => stages.find(({ stage }) => stage === name)?.engine;

const labelled = ({ name, display_name }) => [name, display_name || name];

const percent = (share) =>
  new Intl.NumberFormat(interfaceLanguage(), { style: "percent" }).format(share);

/** Says when a voice whose speed matters is used on this machine. */
function noteOf({ display_name, use, first_clause_ms, real_time_factor }) {
  return t(`voice_${use}`, {
    voice: display_name,
    first: (first_clause_ms / 1000).toFixed(2),
    factor: real_time_factor.toFixed(2),
  });
}

function fill(id, options, value, automatic = true) {
  const all = automatic ? [["", t("automatic")], ...options] : options;
  const select = byId(id);
  select.replaceChildren(...all.map(([name, label]) => new Option(label, name)));
  select.value = value;
}

function stageRow({ stage, ready, engine, problem }) {
  const dot = document.createElement("span");
  dot.className = "dot";
  const name = document.createElement("b");
  name.textContent = stageName(stage);
  const state = document.createElement("span");
  state.textContent = ready ? `${t("ready")} · ${engine?.name ?? ""}` : `${t("notReady")} · ${problem ?? ""}`;
  const row = document.createElement("li");
  row.classList.toggle("ready", ready);
  row.append(dot, name, state);
  return row;
}

function stored(key) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? {};
  } catch {
    return {};
  }
}

let signedIn = "";

/** Tells who the person is, if the token says so; otherwise empty. */
export const bindUser = (user) => (signedIn = user);

/** Returns the user id for the memory: that of the token, or a random name that this browser stores. */
export function userId() {
  if (signedIn) return signedIn;
  let id = localStorage.getItem(USER_KEY);
  if (!id) {
    id = `web-${randomName(12)}`;
    localStorage.setItem(USER_KEY, id);
  }
  return id;
}
