// The stages of the last answer on one time axis, from the end of the question.

import { stageName, t } from "./i18n.js";

const LEAST_MS = 2_000;

/**
 * @param list the element to fill
 * @param title the element that shows the time of the first picture
 * @param spans as in `anima.waterfall`
 * @param shownMs the time from the question to the first picture on this page; null if none
 */
export function drawWaterfall(list, title, spans, shownMs) {
  title.textContent =
    shownMs === null ? t("timingNone") : t("timingTitle", { seconds: (shownMs / 1000).toFixed(2) });
  const rows = spans.map(({ stage, segment, start_us, duration_us, first_output_us }) => ({
    stage,
    name: segment ? t("clause", { stage: stageName(stage), number: segment }) : stageName(stage),
    startMs: start_us / 1000,
    lengthMs: duration_us / 1000,
    firstMs: first_output_us === null ? null : first_output_us / 1000,
  }));
  const from = Math.min(0, ...rows.map((row) => row.startMs));
  const to = Math.max(shownMs ?? 0, ...rows.map((row) => row.startMs + row.lengthMs), 1);
  // The wait for the first picture is short; a long answer would squeeze it.
  const end = Math.min(to, Math.max(LEAST_MS, (shownMs ?? 0) * 3));
  const percent = (ms) => `${((Math.min(ms, end) - from) / (end - from)) * 100}%`;
  const inView = rows.filter((row) => row.startMs < end).sort((a, b) => a.startMs - b.startMs);
  const items = inView.map((row) => drawRow(row, percent));
  if (shownMs !== null) {
    const page = { stage: "page", name: t("timingPage"), startMs: shownMs, lengthMs: 0, firstMs: shownMs };
    items.push(drawRow(page, percent));
  }
  list.replaceChildren(...items);
}

function drawRow({ stage, name, startMs, lengthMs, firstMs }, percent) {
  const label = element("span", "name", name);
  const track = element("span", "track");
  track.setAttribute("aria-hidden", "true");
  const span = element("span", "span");
  span.style.left = percent(startMs);
  span.style.right = `calc(100% - ${percent(startMs + lengthMs)})`;
  track.append(span);
  if (firstMs !== null) {
    const first = element("span", "first");
    first.style.left = percent(firstMs);
    track.append(first);
  }
  const time = element("span", "time", `${Math.round(firstMs ?? startMs + lengthMs)} ms`);
  const row = element("li", "");
  row.dataset.stage = stage;
  row.title = t("timingRow", { stage: name, start: Math.round(startMs), length: Math.round(lengthMs) });
  row.append(label, track, time);
  return row;
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}
