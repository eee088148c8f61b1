// Tab Trials: a row per trial, unfolded to its runs; sorted, grouped, with the columns of one's choice; failures by cause; exports.
import { commandBlock } from "../copy.js";
import { fill, h } from "../dom.js";
import { exportMenu } from "../export-menu.js";
import { failure } from "../failure.js";
import { askReport, hasReport } from "../report.js";
import { toCsv, toJson, toLatex, toMarkdown } from "../table-export.js";
import { WindowedTable } from "../table.js";
import { firstLine, split, TrialModel } from "../trial-columns.js";
import { failures, makeRows, sortTrials } from "../trial-rows.js";

const TICK_MS = 5_000;
const MOST_NAMED = 8;
const MENDING = ["retry", "resume", "verify"]; // purposes of the commands for what went wrong

export const trialsTab = {
  id: "trials",
  keys: { sort: "", cols: "", more: "", open: "" },
  help: [
    ["↑ ↓", "trials.key.move"],
    ["→ ←", "trials.key.fold"],
    ["Space", "trials.key.pin"],
    ["H", "trials.key.hide"],
    ["B", "trials.key.base"],
    ["Enter", "trials.key.run"],
    ["Alt ← →", "trials.key.column"],
  ],
  mount: (page) => new TrialsView(page),
};

class TrialsView {
  constructor(page) {
    this.page = page;
    this.report = null;
    this.table = new WindowedTable({
      sort: (column, add) => this.sortBy(column, add),
      move: (column, before) => this.move(column, before),
      key: (event, row) => this.key(event, row),
    });
    this.actions = {
      isPinned: (id) => this.pinned.has(id),
      pin: (trial) => page.trials.toggle("pin", trial.id),
      fold: (row) => this.fold(row),
      address: (run) => page.state.fragment({ tab: "run", id: run }),
    };
    this.count = h("p", { class: "count muted small" });
    this.more = h("button", { type: "button", onclick: () => page.state.set({ more: page.state.get("more") ? "" : "1" }) });
    this.picker = new Picker(this);
    this.exports = h("div", {});
    this.failedExport = h("div", {});
    this.failed = h("section", { class: "failures" });
    this.empty = h("div", { class: "empty" });
    this.root = h(
      "div",
      { class: "trials" },
      this.failed,
      h("div", { class: "bar-of-tools" }, this.count, this.more, this.picker.root, this.exports),
      this.failedExport,
      this.empty,
      this.table.root,
    );
    this.close = (event) => {
      for (const menu of this.root.querySelectorAll("details.menu[open]"))
        if (event.key === "Escape" || !menu.contains(event.target)) closeMenu(menu, event);
    };
    document.addEventListener("click", this.close);
    this.root.addEventListener("keydown", (event) => event.key === "Escape" && this.close(event));
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  unmount() {
    this.unmounted = true;
    clearInterval(this.timer);
    document.removeEventListener("click", this.close);
    this.table.unmount();
  }

  async update() {
    this.draw(); // what the report adds comes when it is there
    const asked = this.page.state.fragment();
    const { answer } = await askReport(this.page);
    if (asked !== this.page.state.fragment()) return; // another one was asked for meanwhile
    if (this.unmounted || answer === this.report) return;
    this.report = answer;
    this.draw();
  }

  /** The row that was left is the active one again. */
  reveal({ row }) {
    if (row) this.table.activate(row);
  }

  // ------------------------------------------------------------------------------------------------------------ drawing
  draw() {
    const { page } = this;
    const { state, trials } = page;
    const model = this.makeModel();
    this.pinned = new Set(state.list("pin"));
    this.open = new Set(readList(state.get("open")));
    const shown = trials.visible();
    this.sorted = sortTrials(
      shown,
      this.sort.map(({ id, descending }) => ({ column: this.columns.find((each) => each.id === id) ?? model.column(id), descending })),
    );
    const rows = makeRows(this.sorted, {
      open: this.open,
      runs: trials.runs,
      label: (id) => trials.label(id),
      group: this.group(),
      isHere: (trial) => this.pinned.has(trial.id),
    });
    const runs = shown.reduce((sum, trial) => sum + trial.runs.length, 0);
    const newest = rows.some((row) => this.chosen.some((id) => model.isNewest(row, id)));
    fill(this.count, page.text("trials.count", { n: shown.length, runs }), newest ? ` · * ${page.text("trials.newest")}` : null);
    const followers = model.followers.length;
    this.more.hidden = followers === 0 || state.get("cols") !== "";
    this.more.setAttribute("aria-pressed", String(state.get("more") !== ""));
    fill(this.more, page.text("trials.more", { n: followers }));
    this.picker.update();
    this.drawExports();
    this.drawFailures(shown);
    this.drawEmpty(shown.length);
    this.table.root.hidden = shown.length === 0;
    this.table.show(page.text("tab.trials"), this.columns, rows, this.sort);
  }

  /** The columns and the sort of the address; what does not exist is left out. */
  makeModel() {
    const { page } = this;
    const { state } = page;
    const made = [page.trials, this.report, page.trials.decides(), page.language];
    if (!this.made?.every((each, at) => each === made[at])) {
      this.model = new TrialModel(page, this.report);
      this.made = made;
    }
    const { model } = this;
    const known = new Set(model.available());
    const chosen = readList(state.get("cols")).filter((id) => known.has(id));
    this.chosen = chosen.length ? chosen : this.standard();
    this.columns = [
      model.pinColumn(this.actions),
      model.nameColumn(this.actions, this.table.narrow.matches),
      ...this.chosen.map((id) => model.column(id)),
    ];
    const sorts = readList(state.get("sort")).map((text) => ({ id: text.replace(/^-/, ""), descending: text.startsWith("-") }));
    this.sort = sorts.filter(({ id }) => id === "name" || known.has(id));
    return model;
  }

  group() {
    const { page, model } = this;
    const key = page.state.get("g");
    if (!key) return null;
    return {
      value: (trial) => model.parameter(trial, key),
      title: (value) => `${model.shortKey(key)} = ${page.value(value)}`,
      others: page.text("trials.others", { key: model.shortKey(key) }),
    };
  }

  drawEmpty(n) {
    const { page } = this;
    const { state } = page;
    this.empty.hidden = n > 0;
    if (n > 0) return;
    const clear = (key, id) => h("button", { type: "button", onclick: () => state.set({ [key]: "" }) }, page.text(id));
    const filter = state.get("f");
    const hidden = page.trials.matching.length > 0;
    const { filterError } = page.trials;
    const none = filterError ? page.text(filterError.id, filterError) : page.text("trials.none", { filter });
    fill(
      this.empty,
      h("p", {}, hidden ? page.text("trials.all-hidden") : none),
      hidden ? clear("hide", "trials.show-hidden") : clear("f", "trials.clear-filter"),
    );
  }

  drawExports() {
    const { page } = this;
    if (this.exported === page.language) return;
    this.exported = page.language;
    const columns = () => this.columns.filter((column) => column.text);
    const kind = (ending, hint, media, make) => ({ text: `trials.${ending}`, hint, ending, media, make });
    const keys = () => [...this.model.keys, ...this.model.followers];
    const parameter = (trial, key) => this.model.parameter(trial, key);
    const kinds = [
      kind("csv", "trials.csv.what", "text/csv", () => toCsv(this.sorted, page.trials.runs, keys(), page.trials.metrics, parameter)),
      kind("md", "trials.shown", "text/markdown", () => toMarkdown(columns(), this.sorted)),
      kind("tex", "trials.shown", "application/x-tex", () => toLatex(columns(), this.sorted)),
      kind("json", "trials.json.what", "application/json", () => toJson(this.title(), this.sorted, page.trials, this.model.report)),
    ];
    fill(this.exports, exportMenu(page, () => this.title(), kinds, (error) => fill(this.failedExport, failure(page, error))));
  }

  title() {
    return this.page.overview?.title ?? "runner";
  }

  /** Failed runs by cause, each with its names and, once it is unfolded, the commands that start them again. */
  drawFailures(shown) {
    const { page } = this;
    const found = failures(shown.flatMap((trial) => page.trials.runsOf(trial.id)));
    const signature = JSON.stringify([
      page.language,
      found.map((each) => [each.reason, each.runs.map((run) => run.id)]),
      page.state.fragment({ tab: "run" }),
    ]);
    if (signature === this.failedSignature) return;
    this.failedSignature = signature;
    const unfolded = new Set([...this.failed.querySelectorAll("details[open]")].map((each) => each.dataset.reason));
    this.failed.hidden = found.length === 0;
    fill(
      this.failed,
      h("h2", { class: "offscreen" }, page.text("trials.failures")),
      found.map((failure) => this.failure(failure, unfolded)),
    );
  }

  failure({ reason, state, runs }, unfolded) {
    const { page } = this;
    const summary = page.text("trials.failure", {
      n: runs.length,
      state: page.text(`state.${state}`),
      reason: firstLine(reason) || page.text("trials.no-reason"),
    });
    const names = runs
      .slice(0, MOST_NAMED)
      .flatMap((run, at) => [at ? ", " : "", h("a", { href: this.actions.address(run.id) }, run.name)]);
    const rest = runs.length > MOST_NAMED ? page.text("trials.and-more", { n: runs.length - MOST_NAMED }) : "";
    const commands = h("div");
    const more = reason.includes("\n") ? h("pre", { class: "reason" }, reason) : null;
    const details = h(
      "details",
      { open: unfolded.has(reason) },
      h("summary", {}, summary),
      more,
      h("p", { class: "small" }, names, rest),
      commands,
    );
    details.dataset.reason = reason;
    const load = async () => {
      if (!details.open || commands.firstChild) return;
      try {
        const view = await page.source.json("run", { id: runs[0].id });
        fill(
          commands,
          view.commands.filter(({ purpose }) => MENDING.includes(purpose)).map(({ command }) => commandBlock(page, command)),
        );
      } catch (error) {
        fill(commands, h("p", { class: "small muted" }, error.message));
      }
    };
    details.addEventListener("toggle", load);
    return details;
  }

  /** Times of silence go on without news. */
  tick() {
    if (this.page.source.frozen || !this.page.overview?.runs.running) return;
    this.table.version += 1;
    this.table.draw();
  }

  // ------------------------------------------------------------------------------------------------------------ actions
  sortBy(id, add) {
    const { page } = this;
    const column = this.columns.find((each) => each.id === id);
    const at = this.sort.findIndex((each) => each.id === id);
    const first = Boolean(column.falls);
    const next = at < 0 ? { id, descending: first } : this.sort[at].descending === first ? { id, descending: !first } : null;
    const others = add ? this.sort.filter((each) => each.id !== id) : [];
    const sort =
      add && at >= 0 ? [...this.sort.slice(0, at), next, ...this.sort.slice(at + 1)].filter(Boolean) : [...others, next].filter(Boolean);
    page.state.set({ sort: writeList(sort.map((each) => `${each.descending ? "-" : ""}${each.id}`)) });
    page.announce(
      page.text(next ? (next.descending ? "trials.sorted.down" : "trials.sorted.up") : "trials.sorted.none", { column: column.title }),
    );
  }

  move(id, before) {
    const without = this.chosen.filter((each) => each !== id);
    if (!this.chosen.includes(id) || id === before) return;
    const at = before === null ? without.length : before === "name" ? 0 : without.indexOf(before);
    if (at >= 0) this.choose([...without.slice(0, at), id, ...without.slice(at)]);
  }

  /** The columns without a choice: on a narrow screen the numbers come first. */
  standard() {
    return this.model.standard(this.page.state.get("more") !== "", this.table.narrow.matches);
  }

  /** Show these columns, in this order. */
  choose(ids) {
    this.page.state.set({ cols: ids.join() === this.standard().join() ? "" : writeList(ids) });
  }

  fold(row, unfold = !row.expanded) {
    if (row.expanded === undefined || row.expanded === unfold) return;
    const listed = row.kind === "group" ? !unfold : unfold;
    const open = new Set(this.open);
    if (listed) open.add(row.id);
    else open.delete(row.id);
    this.page.state.set({ open: writeList([...open]) });
  }

  key(event, row) {
    const { page } = this;
    const { trial } = row;
    if (event.target.closest("button, a") && (event.key === " " || event.key === "Enter")) return false;
    if (event.key === "ArrowRight") this.fold(row, true);
    else if (event.key === "ArrowLeft" && row.expanded) this.fold(row, false);
    else if (event.key === "ArrowLeft" && row.kind === "run") this.table.activate(trial.id);
    else if (event.key === "Enter" && row.kind === "group") this.fold(row);
    else if (!trial) return false;
    else if (event.key === " ") this.actions.pin(trial);
    else if (event.key === "Enter" && trial.runs.length) page.state.set({ tab: "run", id: row.run?.id ?? trial.runs[0] });
    else if (event.key === "h" || event.key === "H") this.hide(row);
    else if (event.key === "b" || event.key === "B") this.makeBaseline(trial);
    else return false;
    return true;
  }

  /** Compare the others with a trial; with the sweep's baseline if it is the one already. */
  makeBaseline(trial) {
    const { state, trials } = this.page;
    if (trial.imported) this.page.announce(this.page.text("trials.imported.why"));
    else if (!hasReport(this.page, trials.decides(), trial.id)) this.page.announce(this.page.text("frozen.absent"));
    else state.set({ base: [trials.baseline().id, trials.standard().id].includes(trial.id) ? "" : trial.id });
  }

  /** Hide the trial of a row; the row behind it becomes the active one. */
  hide(row) {
    const { page, table } = this;
    const at = table.index.get(row.id);
    const isOther = (each) => each.trial !== row.trial;
    const next = table.rows.slice(at + 1).find(isOther) ?? table.rows.slice(0, at).findLast(isOther);
    page.trials.toggle("hide", row.trial.id);
    if (next) table.activate(next.id);
    page.announce(page.text("trials.hidden", { name: page.trials.label(row.trial.id) }));
  }
}

/** The list of columns to choose from. */
class Picker {
  constructor(view) {
    this.view = view;
    this.search = h("input", { type: "search", autocomplete: "off", spellcheck: "false", id: "column-search" });
    this.search.addEventListener("input", () => this.list());
    this.summary = h("summary");
    this.label = h("label", { for: "column-search" });
    this.items = h("ul");
    this.standard = h("button", { type: "button", class: "quiet", onclick: () => view.page.state.set({ cols: "" }) });
    this.root = h(
      "details",
      { class: "menu picker" },
      this.summary,
      h("div", { class: "sheet-of-menu" }, this.label, this.search, this.items, this.standard),
    );
    this.root.addEventListener("toggle", () => this.list());
  }

  update() {
    const { page } = this.view;
    fill(this.summary, page.text("trials.columns"));
    fill(this.label, page.text("trials.columns.search"));
    fill(this.standard, page.text("trials.columns.standard"));
    this.list();
  }

  list() {
    if (!this.root.open) return;
    const { view } = this;
    const sought = this.search.value.trim().toLowerCase();
    const chosen = new Set(view.chosen);
    const found = [...view.chosen, ...view.model.available().filter((id) => !chosen.has(id))].map((id) => view.model.column(id));
    const focused = this.items.contains(document.activeElement) ? document.activeElement.value : null;
    const items = found.filter((column) => `${column.title} ${column.id}`.toLowerCase().includes(sought)).slice(0, 200);
    fill(
      this.items,
      items.map((column) => this.item(column, chosen.has(column.id))),
    );
    if (focused) [...this.items.querySelectorAll("input")].find((box) => box.value === focused)?.focus();
  }

  item(column, checked) {
    const { view } = this;
    const change = (event) =>
      view.choose(event.target.checked ? [...view.chosen, column.id] : view.chosen.filter((id) => id !== column.id));
    const box = h("input", { type: "checkbox", value: column.id, onchange: change });
    box.checked = checked;
    return h("li", {}, h("label", {}, box, " ", h("span", {}, split(column.id)[0] === "key" ? split(column.id)[1] : column.title)));
  }
}

function closeMenu(menu, event) {
  menu.open = false;
  if (event.key === "Escape") menu.querySelector("summary").focus();
}

/** A list in the address: its items may contain commas. */
function readList(text) {
  return text
    .split(",")
    .filter(Boolean)
    .map((item) => item.replace(/%(.)/g, (_, sign) => (sign === "c" ? "," : sign)));
}

function writeList(items) {
  return items.map((item) => item.replaceAll("%", "%%").replaceAll(",", "%c")).join(",");
}
