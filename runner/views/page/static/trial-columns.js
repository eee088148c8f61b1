// The columns of the table of trials: what each shows of a trial and of a run, and what it is sorted by.
import { h } from "./dom.js";
import { pageTrial } from "./report.js";
import { trialSwatch } from "./swatch.js";

export const SILENT_S = 30;
const MARKS = { better: "▲", worse: "▼", "cannot tell": "○" };
const FACTS = ["n", "delta", "time", "memory", "best", "state"];

/** Trials with what the report says of them. */
export class TrialModel {
  /** @param {object} page  @param {object|null} answer of the part `report`; null while there is none */
  constructor(page, answer) {
    const report = answer?.subject === "comparison" ? answer.report : null;
    const { trials } = page;
    this.page = page;
    this.trials = trials;
    this.report = report;
    this.isSearch = answer?.subject === "search";
    this.missing = new Map(Object.entries(answer?.provisional ?? {}));
    this.metric = trials.decides();
    const byTrial = (report?.trials ?? []).flatMap((each) => each.runs.map((run) => [trials.runs.get(run)?.trial, each]));
    this.reported = new Map(byTrial);
    this.reference = report ? pageTrial(page, report.trials[0]) : null;
    const varied = Object.keys(trials.keys).filter((key) => this.differs(key));
    this.keys = varied.length ? varied : [...(report?.varied ?? [])];
    this.followers = [...new Set([...(report?.parameters ?? []), ...Object.keys(trials.more)])].filter((key) => !this.keys.includes(key));
  }

  differs(key) {
    const first = JSON.stringify(this.parameter(this.trials.all[0], key));
    return this.trials.all.some((trial) => JSON.stringify(this.parameter(trial, key)) !== first);
  }

  /** Value of a key in a trial: of the resolved config where the report has it, else what the sweep set. */
  parameter(trial, key) {
    const reported = this.reported.get(trial.id)?.parameters;
    const known = [reported, trial.parameters].find((each) => each && Object.hasOwn(each, key));
    return known?.[key];
  }

  shortKey(key) {
    return this.trials.shortKey(key);
  }

  /** Effect on the metric that is shown, as the report has it; null where it has none. */
  effect(trial) {
    return this.reported.get(trial.id)?.effects?.[this.metric] ?? null;
  }

  verdict(trial) {
    return this.metric === this.report?.metric ? (this.reported.get(trial.id)?.verdict ?? null) : null;
  }

  isReference(trial) {
    return Boolean(this.reported.get(trial.id)?.baseline) && trial.id === this.reference;
  }

  /** Width of the column of differences, in px: what an interval, and a provisional verdict, need. */
  deltaWidth() {
    const intervals = [...this.reported.values()].some((each) => each.effects?.[this.metric]?.low != null);
    return this.missing.size ? 304 : intervals ? 280 : 184;
  }

  deltaTitle() {
    const reference = this.trials.all.find((trial) => this.isReference(trial));
    const isOther = reference && reference !== this.trials.standard();
    return isOther ? this.page.text("trials.delta.other", { name: this.trials.label(reference.id) }) : this.page.text("trials.delta");
  }

  /** {done, planned} of the runs of a trial while some of them, or of the baseline's, are still to come; null when none is. */
  provisional(trial) {
    return this.missing.get(trial.id) ?? null;
  }

  /** Mean of a metric over the seeds that are done; before one is, the newest value of a run that is not. */
  value(trial, tag) {
    const mean = trial.metrics[tag]?.mean;
    if (mean !== null && mean !== undefined) return mean;
    return this.newest(trial, tag);
  }

  newest(trial, tag) {
    return trial.runs.map((id) => this.trials.runs.get(id)?.values[tag]).find((value) => typeof value === "number") ?? null;
  }

  /** Whether the value of a row in a column is the newest of a run that has not finished, which an asterisk says. */
  isNewest(row, columnId) {
    const [kind, tag] = split(columnId);
    if (kind !== "metric" || row.kind === "group") return false;
    if (row.kind === "run") return row.run.state !== "done" && row.run.values[tag] !== undefined;
    return !row.trial.metrics[tag]?.n && this.newest(row.trial, tag) !== null;
  }

  /** Ids of the columns that can be shown, and of those that are shown without a choice. */
  available() {
    const keys = [...this.keys, ...this.followers].map((key) => `key:${key}`);
    return [...keys, "n", ...this.trials.metrics.map((tag) => `metric:${tag}`), ...FACTS.slice(1)];
  }

  standard(withFollowers, isNarrow) {
    const keys = [...this.keys, ...(withFollowers ? this.followers : [])].map((key) => `key:${key}`);
    const numbers = [`metric:${this.metric}`, ...(this.isSearch ? [] : ["delta"])]; // a search ranks its trials, and compares none
    return isNarrow ? [...numbers, "n", ...keys, "time", "state"] : [...keys, "n", ...numbers, "time", "state"];
  }

  column(id) {
    const [kind, name] = split(id);
    if (kind === "key") return keyColumn(this, name);
    if (kind === "metric") return metricColumn(this, name);
    return FACT_COLUMNS[id](this);
  }

  nameColumn(actions, isNarrow) {
    return {
      id: "name",
      title: this.page.text("trials.name"),
      ...(isNarrow ? { width: 160 } : { least: 184 }),
      sorts: true,
      value: (trial) => trial.label,
      cell: (row) => nameCell(this, row, actions),
      text: (trial) => this.trials.label(trial.id),
    };
  }

  pinColumn(actions) {
    return {
      id: "pin",
      title: this.page.text("trials.pin"),
      hidden: true,
      width: 60,
      cell: (row) => (row.kind === "trial" ? pinCell(this, row, actions) : null),
    };
  }
}

/** "key:a.b" as ["key", "a.b"]. */
export function split(id) {
  const at = id.indexOf(":");
  return at < 0 ? [id, ""] : [id.slice(0, at), id.slice(at + 1)];
}

function keyColumn(model, key) {
  const { page } = model;
  const value = (trial) => model.parameter(trial, key);
  const numeric = model.trials.all.every((trial) => ["number", "undefined"].includes(typeof value(trial)));
  const text = (trial) => page.value(value(trial));
  return {
    id: `key:${key}`,
    title: model.shortKey(key),
    hint: key,
    width: 112,
    number: numeric,
    sorts: true,
    value,
    text,
    cell: (row) => (row.kind === "trial" ? h("span", { title: text(row.trial) }, text(row.trial)) : null),
  };
}

function metricColumn(model, tag) {
  const { page } = model;
  const goal = model.trials.goal;
  return {
    id: `metric:${tag}`,
    title: tag,
    hint: page.text(`trials.goal.${tag === model.trials.metric ? goal : "none"}`, { tag }),
    width: 132,
    number: true,
    sorts: true,
    falls: goal !== "minimize",
    value: (trial) => model.value(trial, tag),
    text: (trial) => page.summary(trial.metrics[tag]),
    cell: (row) =>
      byKind(
        row,
        (run) => runMetric(page, run, tag),
        (trial) => trialMetric(model, trial, tag),
      ),
  };
}

function byKind(row, ofRun, ofTrial) {
  if (row.kind === "group") return null;
  return row.kind === "run" ? ofRun(row.run) : ofTrial(row.trial);
}

function trialMetric(model, trial, tag) {
  const { page } = model;
  if (trial.metrics[tag]?.n) return page.summary(trial.metrics[tag]);
  const value = model.newest(trial, tag);
  return value === null ? "–" : h("span", { class: "muted", title: page.text("trials.newest") }, `${page.number(value)}*`);
}

function runMetric(page, run, tag) {
  const value = run.values[tag];
  if (value === undefined) return "–";
  return run.state === "done"
    ? page.number(value)
    : h("span", { class: "muted", title: page.text("trials.newest") }, `${page.number(value)}*`);
}

const FACT_COLUMNS = {
  n: (model) => ({
    id: "n",
    title: "n",
    hint: model.page.text("trials.n.hint"),
    width: 68,
    number: true,
    sorts: true,
    value: (trial) => trial.metrics[model.metric]?.n ?? 0,
    text: (trial) => String(trial.metrics[model.metric]?.n ?? 0),
    cell: (row) =>
      byKind(
        row,
        (run) => model.page.text("trials.seed", { seed: run.seed }),
        (trial) => countCell(model, trial),
      ),
  }),
  delta: (model) => ({
    id: "delta",
    title: model.deltaTitle(),
    hint: model.page.text("trials.delta.hint", { metric: model.metric }),
    width: model.deltaWidth(),
    sorts: true,
    falls: model.trials.goal !== "minimize",
    value: (trial) => model.effect(trial)?.delta ?? null,
    text: (trial) => deltaText(model, trial),
    cell: (row) => (row.kind === "trial" ? deltaCell(model, row.trial) : null),
  }),
  time: (model) => ({
    id: "time",
    title: model.page.text("trials.time"),
    hint: model.page.text("trials.time.hint"),
    width: 76,
    number: true,
    sorts: true,
    value: (trial) => trial.time_s,
    text: (trial) => model.page.duration(trial.time_s),
    cell: (row) => (row.kind === "group" ? null : model.page.duration((row.run ?? row.trial).time_s)),
  }),
  memory: (model) => ({
    id: "memory",
    title: model.page.text("trials.memory"),
    width: 96,
    number: true,
    sorts: true,
    value: (trial) => trial.memory_gib,
    text: (trial) => model.page.memory(trial.memory_gib),
    cell: (row) => (row.kind === "group" ? null : model.page.memory((row.run ?? row.trial).memory_gib)),
  }),
  best: (model) => ({
    id: "best",
    title: model.page.text("trials.best"),
    hint: model.page.text("trials.best.hint"),
    width: 132,
    number: true,
    sorts: true,
    falls: model.trials.goal !== "minimize",
    value: (trial) => model.reported.get(trial.id)?.best_optimistic?.mean ?? null,
    text: (trial) => model.page.summary(model.reported.get(trial.id)?.best_optimistic),
    cell: (row) => (row.kind === "trial" ? model.page.summary(model.reported.get(row.trial.id)?.best_optimistic) : null),
  }),
  state: (model) => ({
    id: "state",
    title: model.page.text("trials.state"),
    width: 180,
    sorts: true,
    value: (trial) => stateText(model, trial),
    text: (trial) => stateText(model, trial),
    cell: (row) =>
      byKind(
        row,
        (run) => runState(model.page, run),
        (trial) => trialState(model, trial),
      ),
  }),
};

function countCell(model, trial) {
  const n = trial.metrics[model.metric]?.n ?? 0;
  if (trial.imported && !n) return "–"; // it has the tags of another program
  const all = Object.values(trial.states).reduce((sum, number) => sum + number, 0);
  return n === all ? String(n) : model.page.text("trials.n.of", { n, all });
}

function deltaText(model, trial) {
  const effect = model.effect(trial);
  if (model.isReference(trial) || !effect) return "–";
  const verdict = model.provisional(trial) ? null : model.verdict(trial);
  return [model.page.signed(effect.delta), model.page.range(effect.low, effect.high), verdict].filter(Boolean).join(" ");
}

function deltaCell(model, trial) {
  const { page } = model;
  if (model.isReference(trial))
    return h("span", { class: "muted" }, page.text(trial === model.trials.standard() ? "trials.reference" : "trials.compared"));
  const effect = model.effect(trial);
  if (!effect) return "–";
  const numbers = h(
    "span",
    { class: "delta" },
    page.signed(effect.delta),
    " ",
    h("span", { class: "muted" }, page.range(effect.low, effect.high)),
  );
  if (model.metric !== model.report.metric) return numbers;
  const missing = model.provisional(trial);
  if (missing) return [numbers, " ", h("span", { class: "muted" }, page.text("trials.provisional", missing))];
  const verdict = model.verdict(trial);
  const name = verdict ?? "none";
  return [
    numbers,
    " ",
    h(
      "span",
      { class: `verdict ${name.replace(" ", "-")}` },
      `${MARKS[verdict] ?? "–"} ${page.text(`trials.verdict.${name.replace(" ", "-")}`)}`,
    ),
  ];
}

function stateText(model, trial) {
  const { page } = model;
  return Object.entries(trial.states)
    .map(([state, n]) => page.text("trials.states", { n, state: page.text(`state.${state}`) }))
    .join(", ");
}

function trialState(model, trial) {
  const states = Object.keys(trial.states);
  const runs = trial.runs.map((id) => model.trials.runs.get(id));
  if (states.length === 1 && states[0] !== "running") return stateWord(model.page, states[0], runs.length === 1 ? runs[0] : {});
  const share = runs.reduce((sum, run) => sum + portion(run), 0) / Math.max(1, runs.length);
  const silent = Math.max(0, ...runs.map((run) => silence(model.page, run)));
  const text = stateText(model, trial);
  return [
    trial.states.running ? bar(model.page, share) : null,
    silent ? quiet(model.page, silent) : h("span", { title: text, class: trial.states.failed ? "state failed" : null }, text),
  ];
}

function runState(page, run) {
  if (run.state !== "running") return stateWord(page, run.state, run);
  const silent = silence(page, run);
  const percent = run.steps ? `${Math.floor((100 * run.step) / run.steps)} %` : page.text("trials.step", { step: run.step });
  return [bar(page, portion(run)), silent ? quiet(page, silent) : h("span", {}, percent)];
}

function stateWord(page, state, { reason, problem }) {
  const word = page.text(`state.${state}`);
  const first = firstLine(state === "done" ? problem : reason || problem); // a run that is done may have a reason: it was reused
  const title = [word, ...[reason, problem].filter(Boolean)].join(": ");
  return h("span", { class: `state ${state}`, title }, first ? `${word}: ${first}` : word);
}

export const firstLine = (text) => (text ?? "").split("\n")[0];

function portion(run) {
  if (run.state === "done") return 1;
  return run.steps ? Math.min(1, run.step / run.steps) : 0;
}

/** Seconds for which a running run has given no sign of life; 0 below the time that is normal, and in a file. */
export function silence(page, run) {
  if (page.source.frozen || run.state !== "running" || !run.heartbeat) return 0;
  const silent = Date.now() / 1000 - run.heartbeat;
  return silent > SILENT_S ? silent : 0;
}

const quiet = (page, seconds) => h("span", { class: "silent" }, page.text("trials.silent", { time: page.duration(seconds) }));

function bar(page, share) {
  const percent = Math.floor(100 * share);
  const filled = h("span", { class: "filled", style: { width: `${percent}%` } });
  return h("span", { class: "bar", role: "img", "aria-label": page.text("trials.progress", { percent }) }, filled);
}

function pinCell(model, row, actions) {
  const { page, trials } = model;
  const name = trials.label(row.trial.id);
  const pinned = actions.isPinned(row.trial.id);
  const color = trials.color(row.trial.id);
  const button = h(
    "button",
    {
      type: "button",
      class: "pin",
      tabindex: "-1",
      "aria-pressed": String(pinned),
      "aria-label": page.text("trials.pin.what", { name }),
      title: page.text("trials.pin.what", { name }),
      onclick: () => actions.pin(row.trial),
    },
    pinned ? "★" : "☆",
  );
  return [button, trialSwatch(color)];
}

function nameCell(model, row, actions) {
  const { page, trials } = model;
  if (row.kind === "group")
    return [
      fold(page, row, actions),
      h("span", { class: "name strong", title: row.label }, row.label),
      h("span", { class: "muted" }, ` ${row.n}`),
    ];
  if (row.kind === "run")
    return h(
      "a",
      { class: "name run", tabindex: "-1", href: actions.address(row.run.id), title: row.run.problem || row.run.name },
      row.run.name,
      problemMark([row.run]),
    );
  const name = trials.label(row.trial.id);
  const one = row.trial.runs.length === 1;
  if (!row.trial.runs.length) return h("span", { class: "name bare", title: name }, name);
  const mark = problemMark(trials.runsOf(row.trial.id));
  const label = one
    ? h("a", { class: "name", tabindex: "-1", href: actions.address(row.trial.runs[0]), title: name }, name, mark)
    : h("span", { class: "name", title: name }, name, mark);
  if (!row.trial.imported) return [fold(page, row, actions), label];
  const tag = h("span", { class: "tag", title: page.text("trials.imported.why") }, page.text("trials.imported"));
  return [fold(page, row, actions), h("span", { class: "tagged" }, label, tag)];
}

/** A sign where something of a run could not be read, with what it was. */
function problemMark(runs) {
  const said = runs.filter(({ problem }) => problem).map(({ name, problem }) => (runs.length > 1 ? `${name}: ${problem}` : problem));
  return said.length ? h("span", { role: "img", "aria-label": said.join("; "), title: said.join("\n") }, " ⚠") : null;
}

function fold(page, row, actions) {
  const label = page.text(row.expanded ? "trials.fold" : "trials.unfold", { name: row.label });
  return h(
    "button",
    { type: "button", class: "fold", tabindex: "-1", "aria-label": label, onclick: () => actions.fold(row) },
    row.expanded ? "▾" : "▸",
  );
}
