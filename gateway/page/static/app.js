// The page: connects its parts.

import { Answer } from "./answer.js";
import { Unauthorized, describeMesh, keepToken, token } from "./api.js";
import { arrive, takeCode } from "./arrival.js";
import { Captions } from "./captions.js";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { History } from "./history.js";
import { switchLanguage, t, translatePage } from "./i18n.js";
import { kept } from "./kept.js";
import { Loops } from "./loops.js";
import { Memories } from "./memories.js";
import { MICROPHONE_RATE_HZ, Microphone } from "./microphone.js";
import { playableCodecs } from "./player.js";
import { Pictures } from "./pictures.js";
import { Portrait } from "./portrait.js";
import { Screen } from "./screen.js";
import { Settings, bindUser, userId } from "./settings.js";
import { drawWaterfall } from "./waterfall.js";

const MESH_REFRESH_MS = 20_000;
const MADE_TRIES = 20;
const MADE_WAIT_MS = 500;
const byId = (id) => document.getElementById(id);

const code = takeCode();
if (code) kept.renew(); // what another person has said here is not for this one
const connection = new Connection(token);
const player = new Screen(byId("screen"), { talk: byId("talk"), live: byId("live") });
const loops = new Loops(byId("screen"), {
  idle: byId("idle"),
  looks: { listening: byId("listening"), thinking: byId("thinking") },
});
const captions = new Captions(byId("captions"), player);
const history = new History(byId("conversation"));
const settings = new Settings();
const microphone = new Microphone();
const pictures = new Pictures(notice);
const composer = new Composer({ ask, stop, microphone, pictures, settings, say: notice });
const portrait = new Portrait();
new Memories(userId);
const codecs = playableCodecs();

const answers = new Map();
let epoch = 0;
let askedAt = 0;
let shownMs = null;
let lastWaterfall = null;
let activity = "";

// --- actions of the person -------------------------------------------------------------------

function ask(text) {
  if (!connection.isOpen) {
    notice(t("notSent"));
    return false;
  }
  hideNotice();
  silence();
  pictures.show((event) => connection.send(event));
  history.addQuestion(text, pictures.take());
  question();
  const content = [{ type: "input_text", text }];
  connection.send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
  connection.send({ type: "response.create" });
  return true;
}

function stop() {
  silence();
  connection.send({ type: "response.cancel" });
  setActivity("");
}

/** Stops video and audio at once; media still on its way belongs to an older answer. */
function silence() {
  const answer = answers.get(player.turnId);
  // The whole answer was sent, so no later event will report how much of it was heard.
  if (answer?.status) breakOff(answer);
  player.stop();
  captions.clear();
}

function question() {
  askedAt = performance.now();
  shownMs = null;
  byId("suggestions").replaceChildren();
  setActivity("thinking");
}

// --- events of the gateway -------------------------------------------------------------------

const HANDLERS = {
  "session.created": ({ session }) => {
    composer.limit(session.anima.max_question_chars);
    bindUser(session.anima.user_id);
    setStatus("online");
    configure();
    refreshMesh();
  },
  "input_audio_buffer.speech_started": () => {
    pictures.show((event) => connection.send(event));
    setActivity("hearing");
  },
  "conversation.item.input_audio_transcription.delta": ({ transcript }) => history.showPartial(transcript),
  "conversation.item.input_audio_transcription.completed": ({ transcript }) => {
    history.dropPartial();
    if (!transcript) return setActivity("");
    history.addQuestion(transcript, pictures.take());
    return question();
  },
  "response.created": ({ anima }) => {
    epoch = Math.max(epoch, anima.epoch);
    answers.set(anima.turn_id, new Answer(anima.turn_id));
    setActivity("thinking");
  },
  "response.output_audio_transcript.delta": addText,
  "response.output_text.delta": addText,
  "anima.segment": ({ turn_id, segment, start_char, end_char }) =>
    answers.get(turn_id)?.addSegment(segment, start_char, end_char),
  "anima.words": ({ turn_id, segment, words }) => {
    answers.get(turn_id)?.addWords(words.map((word) => ({
      text: word.text,
      segment,
      startChar: word.start_char,
      endChar: word.end_char,
      startSample: word.start_sample,
    })));
  },
  "anima.media": (media) => {
    if (media.epoch < epoch) return;
    player.open({
      id: media.stream,
      epoch: media.epoch,
      turnId: media.turn_id,
      mediaType: media.media_type,
      rateHz: media.sample_rate_hz,
      startSample: media.start_sample,
    });
  },
  "anima.speech": ({ voice, speed }) => settings.follow(voice, speed),
  "anima.interrupted": ({ turn_id, epoch: newEpoch, heard_text }) => {
    epoch = Math.max(epoch, newEpoch);
    if (player.turnId === turn_id) silence();
    const answer = answers.get(turn_id);
    if (answer) answer.heard = heard_text;
  },
  "anima.waterfall": (waterfall) => {
    lastWaterfall = waterfall;
    drawTiming();
    const answer = answers.get(waterfall.turn_id);
    const told = ({ kind }) => kind !== "corpus"; // the persona's own knowledge
    if (answer) answer.sources = waterfall.sources.filter(told).map(({ name }) => name);
  },
  "response.done": ({ response, anima }) => endAnswer(response, anima),
  "anima.notice": ({ text, kind }) => {
    notice(text, kind === "degraded" || kind === "not_understood");
    if (kind === "not_understood") history.dropPartial();
    if (kind === "language_not_heard") composer.mute();
    if (kind !== "degraded") setActivity("");
    if (kind === "degraded") refreshMesh();
  },
  error: ({ error }) => {
    notice(t("failed", { reason: error.message }));
    setActivity("");
  },
};

function addText({ response_id, delta, anima }) {
  const answer = answers.get(response_id);
  if (!answer) return;
  answer.addText(delta, anima.start_char);
  showAnswer(answer);
}

function showAnswer(answer) {
  const playing = player.turnId === answer.turnId;
  const [said, ahead] = answer.split(playing ? player.positionSamples : -1);
  history.showAnswer(answer.turnId, said, ahead);
}

/** The text is complete; the media may still play for a moment. */
function endAnswer(response, anima) {
  const answer = answers.get(anima.turn_id);
  if (!answer) return;
  answer.status = response.status;
  if (response.status === "cancelled") answer.heard ??= anima.heard_text;
  if (player.turnId !== answer.turnId) finishAnswer(answer);
}

function finishAnswer(answer) {
  answers.delete(answer.turnId);
  const cut = answer.status === "cancelled";
  if (cut && answer.heard !== null) history.showAnswer(answer.turnId, answer.heard, "");
  else history.showAnswer(answer.turnId, answer.text, "");
  const sources = [...new Set(answer.sources ?? [])].slice(0, 3).join(", ");
  // An answer that is stopped before its first word was heard has still visibly started.
  const interrupted = answer.heard || answer.shown ? t("interrupted") : "";
  history.endAnswer(answer.turnId, cut ? interrupted : sources && `${t("sources")} ${sources}`);
  if (answers.size === 0) setActivity("");
}

/** Ends an answer: the part spoken by then was heard. */
function breakOff(answer) {
  const playing = player.turnId === answer.turnId;
  const [heard] = answer.split(playing ? player.positionSamples : -1);
  finishAnswer(Object.assign(answer, { status: "cancelled", heard }));
}

// --- playback --------------------------------------------------------------------------------

player.addEventListener("shown", ({ detail: { turnId } }) => {
  shownMs ??= performance.now() - askedAt;
  byId("unlock").hidden = true;
  setActivity("speaking");
  const answer = answers.get(turnId);
  if (answer) {
    answer.shown = true;
    captions.follow(answer, () => showAnswer(answer));
  }
  drawTiming();
});
player.addEventListener("progress", ({ detail }) => report(detail));
player.addEventListener("ended", ({ detail }) => {
  report(detail);
  captions.clear();
  const answer = answers.get(detail.turnId);
  if (answer?.status) finishAnswer(answer);
});
player.addEventListener("broken", ({ detail }) => {
  captions.clear();
  notice(t("failed", { reason: detail }));
});
player.addEventListener("blocked", () => (byId("unlock").hidden = false));
player.addEventListener("signal", ({ detail }) => connection.send(detail));
player.addEventListener("unreachable", () => notice(t("noWebrtc")));
byId("unlock").addEventListener("click", () => player.unlock());

function report({ turnId, samples }) {
  connection.send({ type: "anima.playback", turn_id: turnId, played_samples: samples });
}

function drawTiming() {
  if (!lastWaterfall) return;
  byId("timing").hidden = false;
  drawWaterfall(byId("waterfall"), byId("timing-title"), lastWaterfall.spans, shownMs);
}

// --- state -----------------------------------------------------------------------------------

function setStatus(state, places = {}) {
  byId("status").dataset.state = state;
  byId("status-text").textContent = t(state, places);
}

function setActivity(next) {
  activity = next || (microphone.isOn ? "listening" : "");
  loops.attend(activity);
  byId("activity").hidden = !activity;
  byId("activity-text").textContent = activity && t(activity);
  composer.showStop(activity === "thinking" || activity === "speaking");
}

function notice(text, mild = false) {
  byId("notice-text").textContent = text;
  byId("notice").classList.toggle("mild", mild);
  byId("notice").hidden = false;
}

function hideNotice() {
  byId("notice").hidden = true;
}

function configure() {
  const media = codecs.length ? { media: "fmp4", audio_codecs: codecs } : {};
  connection.send({
    type: "session.update",
    session: {
      type: "realtime",
      output_modalities: [codecs.length ? "audio" : "text"],
      audio: {
        input: { format: { type: "audio/pcm", rate: MICROPHONE_RATE_HZ } },
        output: { voice: settings.voice, speed: settings.speed },
      },
      anima: { ...settings.session, session_id: kept.id, ...media },
    },
  });
}

async function refreshMesh() {
  try {
    if (settings.show(await describeMesh())) configure();
    composer.mindHearing();
    if (connection.isOpen) setStatus(settings.allReady ? "online" : "degraded");
    suggest();
    await loops.show(settings.avatar);
  } catch (error) {
    if (error instanceof Unauthorized) askToken();
  }
}

/** Switches to a newly made face as soon as the gateway lists it. */
async function showMade(name) {
  byId("settings").close();
  for (let tries = 0; tries < MADE_TRIES; tries += 1) {
    const mesh = await describeMesh();
    settings.show(mesh);
    if (settings.use("avatar", name)) return;
    await new Promise((resolve) => setTimeout(resolve, MADE_WAIT_MS));
  }
}

function suggest() {
  if (byId("conversation").childElementCount > 1) return;
  for (const text of settings.texts("greetings").slice(0, 1)) {
    history.greet(text);
  }
  const buttons = settings.texts("suggestions").slice(0, 4).map((text) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", () => ask(text));
    return button;
  });
  byId("suggestions").replaceChildren(...buttons);
}

function askToken() {
  byId("token-wrong").hidden = !token();
  if (!byId("token-dialog").open) byId("token-dialog").showModal();
}

// --- wiring ----------------------------------------------------------------------------------

connection.addEventListener("event", ({ detail }) => player.take(detail) || HANDLERS[detail.type]?.(detail));
connection.addEventListener("media", ({ detail }) => player.feed(detail));
connection.addEventListener("waiting", ({ detail }) => {
  setStatus("offline", detail);
  if (detail.reason) notice(t("refused", detail));
  for (const answer of answers.values()) breakOff(answer);
  player.disconnect();
  captions.clear();
  pictures.unsend();
  epoch = 0;
  setActivity("");
});
connection.addEventListener("unauthorized", askToken);
microphone.addEventListener("audio", ({ detail }) => connection.sendAudio(detail));
microphone.addEventListener("changed", () => {
  setActivity(activity === "listening" ? "" : activity);
  if (microphone.isOn) loops.listen().catch(() => {}); // the idle loop is shown instead
});
pictures.addEventListener("cleared", () => connection.send({ type: "anima.picture.append", data: "" }));
composer.addEventListener("released", () => connection.send({ type: "input_audio_buffer.commit" }));
settings.addEventListener("changed", () => {
  silence();
  kept.renew();
  configure();
  composer.mindHearing();
  loops.show(settings.avatar).catch(({ message }) => notice(t("failed", { reason: message })));
  history.remark(t("newConversation"));
});
portrait.addEventListener("made", ({ detail }) => showMade(detail));
byId("token-form").addEventListener("submit", () => {
  keepToken(byId("token").value.trim());
  connection.connect();
});
byId("notice-close").addEventListener("click", hideNotice);
byId("settings-open").addEventListener("click", () => {
  refreshMesh();
  byId("settings").showModal();
});
byId("language-switch").addEventListener("click", () => {
  switchLanguage();
  settings.draw();
  suggest();
  // Notices come in the language of the page; an answer in progress is not cut off for that.
  if (connection.isOpen && !activity) configure();
  drawTiming();
  setStatus(byId("status").dataset.state, { seconds: 1 });
  setActivity(activity);
  composer.draw();
});
setInterval(() => connection.isOpen && !document.hidden && refreshMesh(), MESH_REFRESH_MS);

if (!codecs.length) notice(t("noMedia"), true);
translatePage();
setStatus("connecting");
if (code) await arrive(code).catch(() => notice(t("arrivalFailed")));
connection.connect();
