// The smaller parts of the Answer: noise, interactions, what is not counted, runs under way.
import { h } from "../dom.js";

const MOST_RUNS = 12;
const UNDER_WAY = new Set(["running", "waiting"]);

/** How far the seed alone moves the metric, and which difference how many seeds could show. */
export function noiseCard(page, report) {
  const { noise } = report;
  if (!noise) return null;
  const note = report.notes.find((each) => each.id === "noise");
  const rows = Object.entries(noise.smallest).map(([seeds, difference]) =>
    h(
      "tr",
      { class: Number(seeds) === noise.n ? "present" : "" },
      h("th", { scope: "row" }, page.text("noise.seeds", { n: Number(seeds) })),
      h("td", {}, page.number(difference)),
    ),
  );
  return h(
    "section",
    { class: "card noise" },
    h("h2", {}, page.text("noise.title")),
    h("p", { class: "figure" }, `± ${page.number(noise.spread)}`),
    h("p", { class: "small" }, page.text(noise.pooled ? "noise.pooled" : "noise.baseline", { metric: report.metric })),
    h("table", {}, h("caption", { class: "small" }, page.text("noise.detectable")), h("tbody", {}, rows)),
    note ? null : h("p", { class: "small muted" }, page.text("noise.unknown")),
  );
}

/** Changes together against the sum of the single ones. */
export function interactionTable(page, report) {
  const found = report.notes.filter((note) => note.id === "interaction");
  if (!found.length) return null;
  const names = ["trial", "together", "alone", "beyond", "interval", "means"];
  const rows = found.map(({ arguments: { trial, together, alone, beyond, low, high } }) => {
    const open = low === null || high === null || (low <= 0 && high >= 0);
    const cells = [page.signed(together), page.signed(alone), page.signed(beyond), page.range(low, high)];
    const means = page.text(open ? "together.open" : beyond > 0 ? "together.more" : "together.less");
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, trial),
      cells.map((text) => h("td", { class: "number" }, text)),
      h("td", {}, means),
    );
  });
  const head = h(
    "tr",
    {},
    names.map((name) => h("th", { scope: "col" }, page.text(`together.${name}`))),
  );
  const table = h("table", { class: "plain" }, h("thead", {}, head), h("tbody", {}, rows));
  return h(
    "section",
    {},
    h("h2", {}, page.text("together.title")),
    h("div", { class: "scrolled", tabindex: "0", role: "region", "aria-label": page.text("together.title") }, table),
  );
}

/** Runs that no number contains, with the reason; not those that `progressList` shows. */
export function uncountedList(page, report) {
  const found = report.uncounted.filter(({ run, state }) => !UNDER_WAY.has(page.trials.runs.get(run)?.state ?? state));
  if (!found.length) return null;
  const name = (id) => page.trials.runs.get(id)?.name ?? id;
  const items = found.map(({ run, reason }) => h("div", {}, h("dt", {}, name(run)), h("dd", {}, page.note(reason))));
  const title = page.text("uncounted.title", { n: items.length });
  const list = (part) => h("dl", { class: "pairs" }, part);
  const rest = items.slice(MOST_RUNS);
  const folded = rest.length ? h("details", {}, h("summary", {}, page.text("more", { n: rest.length })), list(rest)) : null;
  return h("section", { class: "uncounted" }, h("h2", {}, title), list(items.slice(0, MOST_RUNS)), folded);
}

/** Progress of the runs that are under way, and how many wait. */
export function progressList(page) {
  const every = [...page.trials.runs.values()];
  const running = every.filter((run) => run.state === "running");
  const waiting = page.overview.runs.waiting ?? 0;
  if (!running.length && !waiting) return null;
  const { metric } = page.trials;
  const items = running.slice(0, MOST_RUNS).map((run) => {
    const bar = h("progress", { value: run.steps ? Math.min(1, run.step / run.steps) : 0, max: 1, "aria-label": run.name });
    const steps = page.text("progress.running", { step: run.step, steps: run.steps });
    const value = run.values[metric];
    const newest = value === undefined ? "" : page.text("progress.newest", { metric, value: page.number(value) });
    return h(
      "li",
      {},
      h("span", { class: "run" }, run.name),
      bar,
      h("span", { class: "muted" }, steps),
      h("span", { class: "muted" }, newest),
    );
  });
  const rest = running.length - items.length;
  return h(
    "section",
    { class: "progress" },
    h("h2", {}, page.text("progress.title")),
    h("ul", {}, items),
    rest > 0 ? h("p", { class: "small muted" }, page.text("more", { n: rest })) : null,
    waiting ? h("p", { class: "small muted" }, page.text("progress.waiting", { n: waiting })) : null,
  );
}
