// The differences to the baseline: a table whose first column of numbers is drawn. One row per trial, grouped by the key that was varied.
import { h } from "../dom.js";
import { pageTrial } from "../report.js";
import { tickLabels, ticks } from "../ticks.js";

const MOST_ROWS = 60;
const DOT_Y = 20; // px below the top of a row
const MOST_SEEDS = 100; // of runner.stats.power
const SHAPES = { better: "▲", worse: "▼", "cannot tell": "○" };
const CLASSES = { better: "better", worse: "worse", "cannot tell": "open" };

/**
 * @param {object} report a comparison as `runner compare --format json` prints it
 * @param {{provisional: string, all: boolean, showAll: function()}} options `provisional`: what to say while runs are missing; empty
 *     once the verdicts are final; `all`: show a long table whole; `detail`: what is shown below the row of a trial, {id, root}, or null;
 *     `toggle(id)`: show or hide that; `tools`: the menu beside the heading. A sentence instead of the table while nothing has finished.
 */
export function forest(page, report, { provisional, all, showAll, detail, toggle, tools }) {
  if (!report.trials.some((trial) => trial.metrics[report.metric]?.n)) return h("p", { class: "muted" }, page.text("forest.nothing"));
  const rows = selectRows(page, report, all);
  const scale = makeScale(
    report,
    rows.flatMap((group) => group.trials),
  );
  const head = headings(page, report, Boolean(scale));
  const many = rows.some((group) => group.trials.length > 1) && rows.length > 2;
  const columns = head.length;
  const body = rows.flatMap((group) => [
    many && group.key
      ? h("tr", { role: "row", class: "group" }, h("th", { role: "rowheader", scope: "rowgroup", colspan: columns }, group.key))
      : null,
    ...group.trials.flatMap((trial) => [
      row(page, report, trial, scale, { provisional, toggle }),
      detail && detail.id === pageTrial(page, trial) ? detailRow(detail, columns) : null,
    ]),
  ]);
  const total = report.trials.length;
  const shown = rows.reduce((sum, group) => sum + group.trials.length, 0);
  return h(
    "section",
    { class: "forest" },
    h("header", { class: "card-head" }, h("h2", { id: "forest-title" }, forestTitle(page, report)), tools),
    h(
      "table",
      { role: "table", "aria-labelledby": "forest-title", class: scale ? "" : "without-plot" },
      h("caption", { class: "offscreen" }, summary(page, report)),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
      h("tbody", { role: "rowgroup" }, body),
      scale ? h("tfoot", { role: "rowgroup" }, axisRow(page, report, scale, columns)) : null,
    ),
    shown < total ? more(page, shown, total, showAll, report) : null,
    scale ? legend(page, report) : null,
  );
}

/** Heading of the table. */
export function forestTitle(page, { trials, metric }) {
  return trials.length > 1 ? page.text("forest.title", { metric }) : metric;
}

// ------------------------------------------------------------------------------------------------------------------- rows
/** Groups of trials, {key, trials}: the reference, those that differ in one key alone, by key, then the others; as in the terminal. */
function selectRows(page, report, all) {
  const { trials } = page;
  const [reference, ...others] = report.trials;
  const known = others.filter((trial) => trials.isVisible(pageTrial(page, trial)));
  const sign = report.goal === "maximize" ? -1 : 1;
  const gain = (trial) => sign * (trial.effects[report.metric]?.delta ?? -sign * Infinity);
  const kept = all || known.length <= MOST_ROWS ? known : [...known].sort((a, b) => gain(a) - gain(b)).slice(0, MOST_ROWS);
  const groups = new Map(report.varied.map((key) => [key, []]));
  const several = [];
  for (const trial of known.filter((each) => kept.includes(each))) {
    const differing = report.varied.filter((key) => !same(trial.parameters[key], reference.parameters[key]));
    (differing.length === 1 ? groups.get(differing[0]) : several).push(trial);
  }
  return [
    { key: "", trials: [reference] },
    ...[...groups].map(([key, found]) => ({ key: shortKey(page, key), trials: found })),
    { key: page.text("forest.several"), trials: several },
  ].filter((group) => group.trials.length);
}

/** Name of the trial that was picked in the place of the baseline; null where it was not. */
function otherReference({ against, trials }) {
  return against === null ? null : trials[0].label;
}

function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

function shortKey(page, key) {
  return page.trials.keys[key] ?? key.split(".").at(-1);
}

function headings(page, report, plot) {
  const compared = report.trials.length > 1 ? ["delta", "verdict"] : [];
  const names = ["trial", ...(plot ? ["plot"] : []), ...compared, "mean", "n", "time", "memory"];
  return names.map((name) =>
    h(
      "th",
      { role: "columnheader", scope: "col", class: name },
      page.text(`forest.${name}`, { metric: report.metric, reference: otherReference(report) }),
    ),
  );
}

/** The row below a trial that shows more of it. */
function detailRow({ id, root }, columns) {
  return h("tr", { role: "row", class: "detail" }, h("td", { role: "cell", id: `detail-${id}`, colspan: columns }, root));
}

function row(page, report, trial, scale, { provisional, toggle }) {
  const { metric } = report;
  const effect = trial.effects[metric];
  const cell = (name, ...content) => h("td", { role: "cell", class: name, "data-name": page.text(`forest.${name}`, { metric }) }, content);
  const state = provisional ? "open provisional" : (CLASSES[trial.verdict] ?? "none");
  return h(
    "tr",
    {
      role: "row",
      class: `row ${state}`,
      "data-trial": trial.number ?? trial.label,
      "data-hover": pageTrial(page, trial),
      onclick: (event) => event.target.closest("button") || getSelection().toString() || toggle(pageTrial(page, trial)),
    },
    h("th", { role: "rowheader", scope: "row" }, nameOf(page, report, trial, toggle)),
    scale ? h("td", { role: "cell", class: "plot" }, drawn(report, trial, scale)) : null,
    report.trials.length > 1
      ? [cell("delta", delta(page, trial, effect)), cell("verdict", verdict(page, report, trial, provisional))]
      : null,
    cell("mean", page.summary(trial.metrics[metric])),
    cell("n", String(trial.seeds.length)),
    cell("time", page.duration(trial.time_s.n ? trial.time_s.mean : null)),
    cell("memory", page.memory(trial.memory_gib.n ? trial.memory_gib.mean : null)),
  );
}

function delta(page, trial, effect) {
  return [
    h("span", { class: "main" }, trial.baseline ? "–" : page.signed(effect?.delta)),
    h("span", { class: "sub" }, effect ? page.range(effect.low, effect.high) : ""),
  ];
}

/** Name of a trial, what it changes, and the button that pins it, in its colour. */
function nameOf(page, report, trial, toggle) {
  const id = pageTrial(page, trial);
  const label = trial.number === null ? trial.label : `${trial.number} ${trial.label}`;
  const pinned = page.state.list("pin").includes(id);
  const attributes = {
    type: "button",
    class: "pin",
    "data-key": `pin-${id}`,
    "aria-pressed": String(pinned),
    "aria-label": page.text("forest.pin", { name: label }),
    title: page.text("forest.pin", { name: label }),
    onclick: () => page.trials.toggle("pin", id),
  };
  const pin = id ? h("button", attributes, h("span", { style: { "border-color": page.trials.color(id).css } })) : null;
  const changed = h("span", { class: "sub" }, changes(page, report, trial));
  const open = page.state.get("detail") === id;
  const name = h(
    "button",
    {
      type: "button",
      class: "main",
      "data-key": `name-${id}`,
      "aria-expanded": String(open),
      "aria-controls": open ? `detail-${id}` : null,
      onclick: () => toggle(id),
    },
    label,
  );
  return h("div", { class: "name" }, pin, h("div", { class: "text" }, name, changed));
}

/** "batch_size 8 → 16"; the reference's values for itself. */
function changes(page, report, trial) {
  const [reference] = report.trials;
  const value = (each, key) => page.value(each.parameters[key]);
  if (trial === reference) return report.varied.map((key) => `${shortKey(page, key)} ${value(trial, key)}`).join(", ");
  return report.varied
    .filter((key) => !same(trial.parameters[key], reference.parameters[key]))
    .map((key) => `${shortKey(page, key)} ${value(reference, key)} → ${value(trial, key)}`)
    .join(", ");
}

/** The verdict as shape and word, and what is missing for one. */
function verdict(page, report, trial, provisional) {
  if (trial.baseline)
    return h("span", { class: "main plain" }, page.text(report.against === null ? "verdict.baseline" : "verdict.reference"));
  if (!trial.verdict) {
    const single = [trial, report.trials[0]].some((each) => (each.metrics[report.metric]?.n ?? 0) < 2);
    const why = trial.metrics[report.metric]?.n ? (single ? "verdict.one-seed" : "") : "verdict.nothing";
    return [h("span", { class: "main plain" }, "– ", page.text("verdict.none")), h("span", { class: "sub" }, why && page.text(why))];
  }
  const word = page.text(`verdict.${CLASSES[trial.verdict]}`);
  const seeds = page.text(trial.seeds_to_tell === null ? "verdict.seeds-many" : "verdict.seeds", {
    n: trial.seeds_to_tell,
    most: MOST_SEEDS,
  });
  const known = trial.verdict === "cannot tell" && trial.alone?.low != null;
  return [
    h("span", { class: "main" }, h("span", { class: "shape", "aria-hidden": "true" }, SHAPES[trial.verdict]), " ", word),
    h("span", { class: "sub" }, provisional || (known ? seeds : "")),
  ];
}

function more(page, shown, total, showAll, report) {
  const hidden = report.trials.length - 1 - report.trials.slice(1).filter((trial) => page.trials.isVisible(pageTrial(page, trial))).length;
  const left = total - shown - hidden;
  return h(
    "p",
    { class: "small muted" },
    hidden ? page.text("forest.hidden", { n: hidden }) : null,
    hidden && left ? " " : null,
    left ? h("button", { type: "button", class: "quiet", onclick: showAll }, page.text("forest.all", { n: total - hidden })) : null,
  );
}

// ---------------------------------------------------------------------------------------------------------------- drawing
/** {at(value) → percent, low, high, marks}: the axis of the differences; null where no trial has one. */
function makeScale(report, trials) {
  const effects = trials.map((trial) => trial.effects[report.metric]).filter(Boolean);
  if (!effects.length) return null;
  const noise = detectable(report);
  const middle = report.trials[0].metrics[report.metric].mean;
  const seeds = trials.flatMap((trial) => trial.metrics[report.metric]?.values.map((value) => value - middle) ?? []);
  const core = [0, ...effects.map((effect) => effect.delta), ...seeds, ...(noise ? [-noise, noise] : [])];
  const ends = effects.flatMap((effect) => (effect.low === null ? [] : [effect.low, effect.high]));
  const [coreLow, coreHigh] = [Math.min(...core), Math.max(...core)];
  const reach = 1.5 * (coreHigh - coreLow || 1); // whiskers beyond this are cut, with an arrow
  let low = Math.max(Math.min(coreLow, ...ends), coreLow - reach);
  let high = Math.min(Math.max(coreHigh, ...ends), coreHigh + reach);
  const margin = 0.04 * (high - low || 1);
  [low, high] = [low - margin, high + margin];
  return {
    low,
    high,
    middle,
    at: (value) => `${(100 * Math.min(1.01, Math.max(-0.01, (value - low) / (high - low)))).toFixed(2)}%`,
    marks: ticks(low, high, 5),
  };
}

/** The smallest difference that the seeds of this comparison could show; null if unknown. */
function detectable(report) {
  return report.noise?.smallest[report.noise.n] ?? null;
}

function backdrop(report, scale) {
  const noise = detectable(report);
  const width = noise && `${Number.parseFloat(scale.at(noise)) - Number.parseFloat(scale.at(-noise))}%`;
  return [
    noise ? h("rect", { class: "band", x: scale.at(-noise), y: "0", width, height: "100%" }) : null,
    h("line", { class: "zero", x1: scale.at(0), x2: scale.at(0), y1: "0", y2: "100%" }),
  ];
}

function drawn(report, trial, scale) {
  const effect = trial.baseline ? { delta: 0, low: null, high: null } : trial.effects[report.metric];
  const { at } = scale;
  const seeds = trial.metrics[report.metric]?.values ?? [];
  const tick = (value) =>
    h("line", { class: "seed", x1: at(value - scale.middle), x2: at(value - scale.middle), y1: DOT_Y + 9, y2: DOT_Y + 15 });
  return h(
    "svg",
    { "aria-hidden": "true" },
    backdrop(report, scale),
    seeds.length > 1 ? seeds.map(tick) : null,
    effect ? mark(effect, trial, scale) : null,
  );
}

function mark(effect, trial, scale) {
  const { at } = scale;
  const line = (name, low, high) => h("line", { class: name, x1: at(low), x2: at(high), y1: DOT_Y, y2: DOT_Y });
  const cap = (value) => h("line", { class: "whisker", x1: at(value), x2: at(value), y1: DOT_Y - 4, y2: DOT_Y + 4 });
  const alone = trial.alone?.low != null ? line("alone", trial.alone.low, trial.alone.high) : null;
  const whisker = effect.low === null ? null : [line("whisker", effect.low, effect.high), cap(effect.low), cap(effect.high)];
  return [alone, whisker, h("circle", { class: "dot", cx: at(effect.delta), cy: DOT_Y, r: 5 })];
}

function axisRow(page, report, scale, columns) {
  const labels = tickLabels(scale.marks, "number", false, page.language);
  const marks = scale.marks.map((value, index) => [
    h("line", { class: "axis", x1: scale.at(value), x2: scale.at(value), y1: 0, y2: 5 }),
    h("text", { x: scale.at(value), y: 18, "text-anchor": "middle" }, value > 0 ? `+${labels[index]}` : labels[index]),
  ]);
  const up = report.goal === "maximize";
  const ends = [
    h("text", { class: "end", x: "0", y: 36, "text-anchor": "start" }, `← ${page.text(up ? "verdict.worse" : "verdict.better")}`),
    h("text", { class: "end", x: "100%", y: 36, "text-anchor": "end" }, `${page.text(up ? "verdict.better" : "verdict.worse")} →`),
  ];
  const axis = h("svg", { "aria-hidden": "true" }, h("line", { class: "axis", x1: "0", x2: "100%", y1: 0, y2: 0 }), marks, ends);
  return h(
    "tr",
    { class: "axis-row", "aria-hidden": "true" },
    h("td", {}),
    h("td", { class: "plot" }, axis),
    h("td", { colspan: columns - 2 }),
  );
}

function legend(page, report) {
  const noise = detectable(report);
  const key = (...shapes) => h("svg", { width: 32, height: 16, "aria-hidden": "true" }, shapes);
  const item = (shape, text) => h("li", {}, shape, h("span", {}, text));
  const line = (name) => h("line", { class: name, x1: 2, x2: 30, y1: 8, y2: 8 });
  const joint = report.trials.filter((trial) => trial.alone?.low != null).length > 1;
  const seeds = [8, 14, 23].map((x) => h("line", { class: "seed", x1: x, x2: x, y1: 5, y2: 11 }));
  const dot = h("circle", { class: "dot", cx: 16, cy: 8, r: 4 });
  const intervals = report.trials.some((trial) => trial.alone?.low != null);
  return h(
    "ul",
    { class: "legend" },
    intervals ? item(key(line("whisker"), dot), page.text(joint ? "forest.key.joint" : "forest.key.interval")) : null,
    joint ? item(key(line("alone")), page.text("forest.key.alone")) : null,
    report.trials.some((trial) => trial.seeds.length > 1) ? item(key(seeds), page.text("forest.key.seeds")) : null,
    noise
      ? item(
          key(h("rect", { class: "band", x: 0, y: 0, width: 32, height: 16 })),
          page.text("forest.key.band", { noise, n: report.noise.n }),
        )
      : null,
  );
}

/** A sentence for the whole table. */
function summary(page, report) {
  if (report.trials.length < 2) return page.text("forest.alone", { metric: report.metric });
  const count = (word) => report.trials.filter((trial) => trial.verdict === word).length;
  return page.text("forest.summary", {
    reference: otherReference(report),
    n: report.trials.length - 1,
    metric: report.metric,
    better: count("better"),
    worse: count("worse"),
    open: count("cannot tell"),
  });
}
