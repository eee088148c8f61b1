// What the charts of the Search tab show: the part `search` under the present selection. Nothing is computed here but what a slider
// selects.
import { axisAround, keyAxis } from "./search-axes.js";

const MOST_COLOURED = 24; // of more trials only the baseline, the pinned and the best ones have their colour
const BEST_COLOURED = 5;

export class SearchModel {
  constructor(page, explored) {
    const { trials, state } = page;
    Object.assign(this, { page, explored, kind: explored.kind, tag: trials.decides() });
    this.goal = explored.metrics.find(({ name }) => name === this.tag)?.goal ?? null;
    this.deciding = explored.metrics[0]?.name;
    this.axes = explored.keys.map((key) => keyAxis(key, page.language));
    const visible = new Set(trials.visible().map(({ id }) => id));
    this.all = explored.trials.filter(({ id }) => trials.byId.has(id)).map((trial) => this.row(trial, visible));
    this.byId = new Map(this.all.map((row) => [row.id, row]));
    const better = this.goal === "minimize" ? 1 : -1;
    this.ranked = this.goal ? this.all.filter((row) => row.visible && row.ranks).sort((a, b) => better * (a.y - b.y)) : [];
    this.percent = Math.min(100, Math.max(1, Number(state.get("k")) || 100));
    this.top = this.ranked.slice(0, Math.ceil((this.percent / 100) * this.ranked.length));
    this.choose();
  }

  row(trial, visible) {
    const { trials } = this.page;
    const known = trials.byId.get(trial.id);
    const numbers =
      trial.metrics[this.tag] ?? (this.explored.metrics.some(({ name }) => name === this.tag) ? null : known.metrics[this.tag]);
    const seeds =
      numbers?.values ??
      trials
        .runsOf(trial.id)
        .filter((run) => run.state === "done")
        .map((run) => run.values[this.tag]);
    const y = numbers?.n ? numbers.mean : null;
    return {
      ...trial,
      number: known.number,
      visible: visible.has(trial.id),
      y,
      numbers: y === null ? null : numbers,
      seeds: seeds.filter((value) => typeof value === "number"),
      ranks: y !== null && !trial.violated.length,
      newest: this.tag === this.deciding ? trial.newest : null,
    };
  }

  /** Which trials are shown, and how prominently: "named" in their colour, "top", or "rest". */
  choose() {
    const { page, percent } = this;
    const only = page.state.get("only") === "1" && percent < 100;
    const top = new Set(this.top.map(({ id }) => id));
    this.rows = this.all.filter((row) => row.visible && (!only || top.has(row.id)));
    const named = new Set([
      page.trials.baseline().id,
      ...page.trials.pinned().map(({ id }) => id),
      ...this.top.slice(0, BEST_COLOURED).map(({ id }) => id),
    ]);
    const pinned = new Set(page.state.list("pin"));
    const few = this.rows.length <= MOST_COLOURED;
    for (const row of this.all) {
      const first = percent === 100 || top.has(row.id);
      row.pinned = pinned.has(row.id);
      row.level = named.has(row.id) || (few && first) ? "named" : first ? "top" : "rest";
      row.color = row.level === "named" ? page.trials.color(row.id).css : null;
    }
    this.few = few;
    this.finished = this.all.filter((row) => row.y !== null).length;
  }

  /** Rows from the least prominent to the most prominent one: the order of drawing. */
  layered() {
    const rank = { rest: 0, top: 1, named: 2 };
    return [...this.rows].sort((a, b) => rank[a.level] - rank[b.level] || a.pinned - b.pinned);
  }

  /** The axis of the metric, around what is shown; with `seeds` also around these and mean ± std. */
  valueAxis(rows, seeds = false) {
    const own = (row) => (seeds ? [...row.seeds, row.y - (row.numbers.std ?? 0), row.y + (row.numbers.std ?? 0)] : [row.y]);
    const values = rows.flatMap((row) => (row.y !== null ? own(row) : row.newest ? [row.newest[1]] : []));
    return { ...axisAround(values, this.page.language), key: this.tag, short: this.tag };
  }

  /** Names of the trials in colour. */
  legend() {
    return this.rows.filter((row) => row.level === "named").map((row) => ({ name: this.page.trials.label(row.id), color: row.color }));
  }

  /** Name of what the metric is set against. */
  costName(cost) {
    return { time_s: this.page.text("forest.time"), memory_gib: this.page.text("search.memory") }[cost] ?? cost;
  }

  axis(key) {
    return this.axes.find((axis) => axis.key === key);
  }

  /** A trial in one sentence. */
  sentence(id) {
    const { page } = this;
    const row = this.byId.get(id);
    const value =
      row.y !== null
        ? page.summary(row.numbers)
        : row.newest
          ? page.text("search.newest", { value: page.number(row.newest[1]), step: row.newest[0] })
          : "–";
    const state = row.violated.length
      ? page.text("search.violated", { constraint: row.violated })
      : row.state === "done"
        ? ""
        : page.text(`state.${row.state}`);
    return page.text("search.trial", { trial: page.trials.label(id), metric: this.tag, value, n: row.numbers?.n ?? "", state });
  }
}
