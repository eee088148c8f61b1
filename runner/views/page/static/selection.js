// The selection bar, the same in every tab: filter, groups, baseline, metric, pinned and hidden trials.
import { FROZEN } from "./curve-loader.js";
import { fill, h, prose } from "./dom.js";
import { choices } from "./header.js";
import { hasReport } from "./report.js";

const KEYS = ["f", "g", "base", "metric", "pin", "hide"];

export class Selection {
  constructor(page) {
    this.page = page;
    this.filter = h("input", { id: "filter", type: "search", autocomplete: "off", spellcheck: "false", "aria-describedby": "filter-says" });
    this.filter.addEventListener("input", () => this.page.state.set({ f: this.filter.value.trim() }));
    this.says = h("span", { id: "filter-says", class: "says" });
    this.metric = h("select", { onchange: (event) => this.pick("metric", event.target.value, this.page.trials.metric) });
    this.base = h("select", { onchange: (event) => this.pick("base", event.target.value, this.page.trials.standard().id) });
    this.group = h("select", { onchange: (event) => this.pick("g", event.target.value, "") });
    this.reset = h("button", { type: "button", class: "quiet", onclick: () => this.clear() });
    this.chips = h("div", { class: "chips" });
    this.others = h("p", { class: "small muted", hidden: true }); // how to get what a file does not offer
    this.labels = { filter: h("label", { for: "filter" }), base: h("span"), metric: h("span"), group: h("span") };
    const field = (name, ...controls) => h("div", { class: `field ${name}` }, this.labels[name], controls);
    const fields = h(
      "div",
      { class: "fields", id: "selection-fields" },
      field("filter", this.filter, this.says),
      field("base", this.base),
      field("metric", this.metric),
      field("group", this.group),
      this.reset,
      this.others,
    );
    this.sheet = h("button", { type: "button", class: "sheet", "aria-controls": "selection-fields", onclick: () => this.toggleSheet() });
    this.wrong = h("p", { class: "says wrong outside", "aria-hidden": "true" }); // the same, where the sheet with the fields is closed
    this.root = h("section", { class: "selection" }, this.sheet, this.wrong, fields, this.chips);
  }

  /** Put a choice into the address, or take it out where it is the one that holds without. */
  pick(key, value, standard) {
    this.page.state.set({ [key]: value === standard ? "" : value });
  }

  clear() {
    this.page.state.set(Object.fromEntries(KEYS.map((key) => [key, ""])));
    this.filter.value = "";
    this.filter.focus();
  }

  toggleSheet(open = !this.root.classList.contains("open")) {
    this.root.classList.toggle("open", open);
    this.sheet.setAttribute("aria-expanded", String(open));
  }

  focusFilter() {
    this.toggleSheet(true);
    this.filter.focus();
    this.filter.select();
  }

  update() {
    const { page } = this;
    const { trials, state } = page;
    const text = (id, values) => page.text(id, values);
    this.root.setAttribute("aria-label", text("selection"));
    this.sheet.setAttribute("aria-expanded", String(this.root.classList.contains("open")));
    const chosen = KEYS.filter((key) => state.get(key) !== "").length;
    fill(this.sheet, text("selection.sheet"), chosen ? h("span", { class: "count" }, chosen) : null);
    for (const name of Object.keys(this.labels)) fill(this.labels[name], text(`selection.${name}`));
    if (this.filter.value.trim() !== state.get("f")) this.filter.value = state.get("f"); // not what is being typed, so Back holds too
    this.filter.setAttribute("placeholder", text("selection.filter.example"));
    this.filter.setAttribute("aria-invalid", String(Boolean(trials.filterError)));
    this.says.classList.toggle("wrong", Boolean(trials.filterError));
    fill(this.says, this.sentence());
    fill(this.wrong, trials.filterError ? this.sentence() : null);
    const [base, metric] = [trials.baseline().id, trials.decides()];
    const bases = trials.comparable().filter(({ id }) => id === base || hasReport(page, metric, id));
    const needsReport = state.tab !== "search"; // which shows each trial's numbers
    const metrics = trials.metrics.filter((tag) => tag === metric || !needsReport || hasReport(page, tag, base));
    choices(
      this.base,
      text("selection.base"),
      bases.map(({ id }) => [id, shorten(trials.label(id))]),
      base,
    );
    choices(
      this.metric,
      text("selection.metric"),
      metrics.map((tag) => [tag, tag]),
      metric,
    );
    this.labels.base.parentElement.hidden = page.source.frozen && bases.length < 2;
    this.labels.metric.parentElement.hidden = page.source.frozen && metrics.length < 2;
    this.others.hidden = bases.length === trials.comparable().length && metrics.length === trials.metrics.length;
    fill(this.others, prose(text("selection.others")));
    const every = trials.groupKeys();
    const keys = every.filter((key) => this.canGroup(key));
    choices(
      this.group,
      text("selection.group"),
      [["", text("selection.group.trial")], ...keys.map((key) => [key, trials.shortKey(key)])],
      keys.includes(state.get("g")) ? state.get("g") : "",
    );
    this.labels.group.parentElement.hidden = every.length < 2 || !keys.length;
    this.reset.hidden = chosen === 0;
    fill(this.reset, text("selection.reset"));
    this.updateChips();
  }

  /** Whether the open tab can group by a key: a file has curves by trial, or by the key of its view. */
  canGroup(key) {
    const { source, state, trials } = this.page;
    return state.tab !== "curves" || !source.frozen || source.holds("curves", { tag: trials.metric, ...FROZEN, g: key });
  }

  /** What the filter found, or what is wrong with it. */
  sentence() {
    const { page } = this;
    const { trials, state } = page;
    if (trials.filterError) return page.text(trials.filterError.id, trials.filterError);
    if (!state.get("f")) return "";
    const n = trials.matching.length;
    const found = page.text("filter.matches", { n, all: trials.all.length });
    return !n && LIKE_A_PATTERN.test(state.get("f")) ? `${found}. ${page.text("filter.literal")}` : found;
  }

  updateChips() {
    const { trials } = this.page;
    const pinned = trials.pinned().map((trial) => this.chip("pin", trial));
    const hidden = this.page.state
      .list("hide")
      .filter((id) => trials.byId.has(id))
      .map((id) => this.chip("hide", trials.byId.get(id)));
    fill(this.chips, pinned, hidden);
  }

  chip(list, trial) {
    const { page } = this;
    const name = page.trials.label(trial.id);
    const remove = h(
      "button",
      { type: "button", onclick: () => page.trials.toggle(list, trial.id), "aria-label": page.text(`chip.${list}.remove`, { name }) },
      "×",
    );
    const key =
      list === "pin" ? h("span", { class: "key", style: { background: page.trials.color(trial.id).css }, "aria-hidden": "true" }) : null;
    return h(
      "span",
      { class: `chip ${list}`, "data-hover": trial.id },
      key,
      h("span", { class: "what" }, page.text(`chip.${list}`)),
      h("span", { class: "name" }, name),
      remove,
    );
  }
}

/** A filter without a regular expression that looks as if it was meant to be one. */
const LIKE_A_PATTERN = /^[^/]*[()[\]*+?^$|\\][^/]*$/;
const LONGEST = 60;
const shorten = (name) => (name.length > LONGEST ? `${name.slice(0, LONGEST)}…` : name);
