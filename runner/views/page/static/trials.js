// The trials as every tab sees them: the `trials` part, with what is selected in the address, and a colour for each trial.
import { parseFilter } from "./filter.js";

/**
 * Okabe and Ito's colours, changed so far that each has a contrast of 3:1 on white and on the dark ground. The first is for a trial 0 that
 * is not the baseline.
 */
export const PALETTE = Object.freeze(["#7f8790", "#0072b2", "#d55e00", "#009e73", "#b8860b", "#c0608f", "#3a94cf", "#8a8a00"]);
/** Dashes of a line whose colour is taken already: of the 1st, 2nd, … line of one colour. */
export const DASHES = [[], [7, 3], [2, 3], [8, 3, 2, 3]];

export class Trials {
  /**
   * @param {object} data answer of the part `trials`
   * @param {State} state
   * @param {Trials|null} last the trials before a change of the data: their filter holds on where the new text is wrong
   */
  constructor(data, state, last = null) {
    Object.assign(this, data);
    this.state = state;
    this.all = data.trials;
    this.byId = new Map(this.all.map((trial) => [trial.id, trial]));
    this.runs = new Map(data.runs.map((run) => [run.id, run]));
    this.filter = last?.filter ?? parseFilter("", this.names());
    this.filterError = null;
    this.read();
  }

  names() {
    const keys = new Set([...Object.keys(this.keys), ...this.all.flatMap((trial) => Object.keys(trial.parameters))]);
    return { keys: [...keys], tags: this.metrics, labels: this.all.map((trial) => trial.label) };
  }

  /** Read the selection from the address. A wrong filter leaves the last good one in force. */
  read() {
    const parsed = parseFilter(this.state.get("f"), this.names());
    this.filterError = parsed.error;
    if (!parsed.error) this.filter = parsed;
    const hidden = new Set(this.state.list("hide"));
    this.matching = this.all.filter((trial) => this.filter.trial(trial, this.runsOf(trial.id)));
    this.shown = this.matching.filter((trial) => !hidden.has(trial.id));
    this.shownIds = new Set(this.shown.map((trial) => trial.id));
  }

  /** Short name of a key. */
  shortKey(key) {
    const names = [this.keys, this.more].find((each) => Object.hasOwn(each, key));
    return names ? names[key] : key.split(".").slice(-2).join(".");
  }

  /** Keys by which the shown trials can be grouped: those that differ between them; all that were varied, and the chosen one. */
  groupKeys() {
    const first = this.shown[0]?.parameters ?? {};
    const differs = (key) => this.shown.some(({ parameters }) => JSON.stringify(parameters[key]) !== JSON.stringify(first[key]));
    const more = Object.keys(this.more).filter((key) => key === this.state.get("g") || differs(key));
    return [...Object.keys(this.keys), ...more];
  }

  /** Runs of a trial. */
  runsOf(id) {
    return this.byId.get(id).runs.map((run) => this.runs.get(run));
  }

  /** Trials that the filter and hiding leave. */
  visible() {
    return this.shown;
  }

  isVisible(id) {
    return this.shownIds.has(id);
  }

  /** Pinned trials, in the order of pinning. */
  pinned() {
    return this.state
      .list("pin")
      .filter((id) => this.byId.has(id))
      .map((id) => this.byId.get(id));
  }

  /** The trial that the others are compared with: the one that was picked, or the sweep's. */
  baseline() {
    const picked = this.byId.get(this.state.get("base"));
    return picked && !picked.imported ? picked : this.standard();
  }

  /** The sweep's own baseline, or the trial that stands in for it. */
  standard() {
    return this.all.find((trial) => trial.baseline) ?? this.all[0];
  }

  /** Trials that others can be compared with: those that were trained here. */
  comparable() {
    return this.all.filter((trial) => !trial.imported);
  }

  /** The metric that is shown first: the one that was picked, or the deciding one. */
  decides() {
    return this.metrics.includes(this.state.get("metric")) ? this.state.get("metric") : this.metric;
  }

  /** Put a trial's id into a list of the address ("pin" or "hide") and out of the other one, or take it out. */
  toggle(list, id) {
    const without = (key) => this.state.list(key).filter((each) => each !== id);
    const other = list === "pin" ? "hide" : "pin";
    if (this.state.list(list).includes(id)) this.state.set({ [list]: without(list).join(",") });
    else this.state.set({ [list]: [...this.state.list(list), id].join(","), [other]: without(other).join(",") });
  }

  /** {css, dash} of a trial: the same in every tab, whatever else is shown. `css` is a colour that a canvas knows too. */
  color(id) {
    if (id === this.baseline().id) return { css: inkColor(), dash: [] };
    const index = Number(id.slice(1)); // the number in t0, t1, … stays when trials come and go
    return { css: PALETTE[index % PALETTE.length], dash: DASHES[Math.floor(index / PALETTE.length) % DASHES.length] };
  }

  /** Number and label of a trial, as in the tables of `runner compare`. */
  label(id) {
    const trial = this.byId.get(id);
    return trial.number >= 0 ? `${trial.number} ${trial.label}` : trial.label;
  }
}

function inkColor() {
  return getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
}
