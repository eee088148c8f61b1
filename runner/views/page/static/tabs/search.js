// Tab Search: what a sweep has explored. Changes of one key: a slice per key; a grid: a heat map; a search: history, importances, slices,
// parallel coordinates, Pareto front, curves of pruned trials. A brush is a filter in the selection bar.
import { fill, h } from "../dom.js";
import { failure } from "../failure.js";
import { choices } from "../header.js";
import { brushOf, writeBrush } from "../search-brush.js";
import { ChartCard } from "../search-card.js";
import { HeatMap } from "../search-cells.js";
import { importanceCard, SearchControls } from "../search-controls.js";
import { curvesFigure, historyFigure, paretoFigure, sliceFigure } from "../search-figures.js";
import { SearchModel } from "../search-model.js";
import { parallelFigure } from "../search-parallel.js";

const COSTS = ["time_s", "memory_gib"];
const SHOWN = {
  one_at_a_time: ["pareto"],
  grid: ["parallel", "pareto"],
  list: ["parallel", "pareto"],
  search: ["history", "parallel", "pareto", "curves"],
};
const DOUBLE_MS = 250; // between two clicks that are one double click
const LEAST = 2; // finished trials without which there is nothing to see

export const searchTab = {
  id: "search",
  keys: {
    k: "", // percent of the trials, the best ones, that stand out
    only: "", // "1": the others are left out
    gx: "", // keys of the heat map
    gy: "",
    at: "", // place of the other keys there, "key:index,…"
    cost: "", // what the metric is set against
    rows: "", // charts whose values are shown as a table
  },
  shows: (overview) => (overview?.trials ?? 0) > 1,
  help: [
    ["← →", "search.key.move"],
    ["Space", "search.key.pin"],
    ["Enter", "search.key.open"],
    ["⇕", "search.key.brush"],
  ],
  mount: (page) => new SearchView(page),
};

class SearchView {
  constructor(page) {
    Object.assign(this, { page, cards: new Map(), hovered: null });
    this.controls = new SearchControls(page);
    this.said = h("p", { class: "muted small", role: "status" });
    this.heat = new HeatMap(page, this);
    this.importances = h("div", {});
    this.main = h("div", { class: "search-main" });
    this.sliceNote = h("p", { class: "small muted" });
    this.cost = h("select", { onchange: () => page.state.set({ cost: this.cost.value === COSTS[0] ? "" : this.cost.value }) });
    this.legend = h("ul", { class: "legend" });
    this.problem = h("div", {});
    this.root = h("div", { class: "search" }, this.problem, this.controls.root, this.said, this.legend, this.heat.root, this.main);
    this.print = () => this.drawAll();
    addEventListener("printing", this.print);
    this.watch = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => this.near(target, isIntersecting)), {
      rootMargin: "25% 0px",
    });
  }

  unmount() {
    this.unmounted = true;
    removeEventListener("printing", this.print);
    this.watch.disconnect();
    this.cards.forEach((card) => card.destroy());
  }

  /** Draw every chart now, also those that are not in view, in the present colours and size. */
  drawAll() {
    if (!this.model) return;
    this.model = new SearchModel(this.page, this.model.explored);
    this.draw();
    this.cards.forEach((card) => card.draw());
  }

  near(target, isNear) {
    for (const card of this.cards.values()) if (card.root === target) card.approach(isNear);
  }

  async update() {
    const { source, trials } = this.page;
    const metric = trials.decides();
    let explored;
    try {
      explored = await (metric === trials.metric
        ? source.json("search")
        : source.json("search", { metric }).catch(() => source.json("search")));
    } catch (error) {
      return fill(this.problem, failure(this.page, error));
    }
    if (this.unmounted || metric !== this.page.trials.decides()) return;
    fill(this.problem);
    this.model = new SearchModel(this.page, explored);
    if (this.hovered !== null && !this.model.byId.has(this.hovered)) this.hovered = null;
    this.draw();
  }

  draw() {
    const { model, page } = this;
    const few = model.finished < LEAST;
    this.controls.show(model);
    const hidden = model.all.length - model.rows.length;
    fill(
      this.said,
      few
        ? page.text("search.few", { n: model.finished, least: LEAST })
        : hidden
          ? page.text("search.shown", { n: model.rows.length, all: model.all.length })
          : "",
    );
    this.said.hidden = !this.said.textContent;
    if (few) this.legend.hidden = true;
    this.main.hidden = few;
    this.heat.root.hidden = few || model.kind !== "grid";
    if (few) return;
    this.drawLegend();
    if (!this.heat.root.hidden) this.heat.show(model);
    this.arrange();
  }

  // ------------------------------------------------------------------------------------------------------------------- cards
  arrange() {
    const { model, page } = this;
    const kept = new Map();
    const card = (name, content, className) => {
      if (!content) return null;
      const made = this.cards.get(name) ?? new ChartCard(this, name, className);
      kept.set(name, [made, content]);
      return made.root;
    };
    const importance = model.kind === "search" ? importanceCard(page, model) : null;
    const slices = model.axes.map((axis, at) => card(`slice ${axis.key}`, this.slice(axis, at))).filter(Boolean);
    const [history, parallel, pareto, curves] = ["history", "parallel", "pareto", "curves"].map((name) =>
      SHOWN[model.kind].includes(name) ? card(name, this[name](), "wide") : null,
    );
    fill(this.importances, importance);
    fill(this.sliceNote, this.sliceReading());
    const signature = JSON.stringify([[...kept.keys()], Boolean(importance), page.language]);
    if (signature !== this.signature) {
      this.signature = signature;
      const group = slices.length
        ? h("section", {}, h("h2", {}, page.text("search.slices")), this.sliceNote, h("div", { class: "search-slices" }, slices))
        : null;
      fill(
        this.main,
        model.kind === "search" ? [history, importance && this.importances, parallel, group, pareto, curves] : [group, parallel, pareto],
      );
    }
    for (const [name, old] of this.cards) {
      if (kept.has(name)) continue;
      this.watch.unobserve(old.root);
      old.destroy();
    }
    for (const [name, [made]] of kept) if (!this.cards.has(name)) this.watch.observe(made.root);
    this.cards = new Map([...kept].map(([name, [made]]) => [name, made]));
    for (const [made, content] of kept.values()) made.show(content);
  }

  sliceReading() {
    const { model, page } = this;
    if (model.kind !== "one_at_a_time") return page.text(model.kind === "search" ? "search.slices.median" : "search.slices.mean");
    const base = model.byId.get(page.trials.all.find((trial) => trial.baseline)?.id);
    const changes = (row) => row.places.filter((place, at) => place !== null && place !== base?.places[at]).length;
    return page.text("search.slices.seeds", { several: model.all.filter((row) => changes(row) > 1).length });
  }

  slice(axis, at) {
    const { model, page } = this;
    const only = model.kind === "one_at_a_time" ? (model.explored.alone[axis.key] ?? []) : null;
    const rows = (only ? only.map((id) => model.byId.get(id)) : model.rows).filter((row) => row?.visible && row.places[at] !== null);
    if (new Set(rows.map((row) => row.places[at])).size < 2 && model.all.length > 1 && only !== null) return null;
    return {
      title: axis.short,
      make: () => sliceFigure(this.model, at, this.shared()),
      summary: page.text("search.slice.summary", { metric: model.tag, key: axis.key, n: rows.length }),
      table: (exact) =>
        this.table(
          rows,
          [axis.short],
          (row) => [axis.choices.length ? axis.label(row.places[at]) : exact ? row.places[at] : page.value(row.places[at])],
          exact,
        ),
    };
  }

  /** All slices have one axis of the metric, so that they can be compared. */
  shared() {
    const { model } = this;
    if (this.sharedFor !== model) {
      const alone = model.kind === "one_at_a_time" ? new Set(Object.values(model.explored.alone).flat()) : null;
      const rows = model.rows.filter((row) => row.y !== null && (alone?.has(row.id) ?? true));
      [this.sharedFor, this.sharedAxis] = [model, model.valueAxis(rows, alone !== null)];
    }
    return this.sharedAxis;
  }

  history() {
    const { model, page } = this;
    const best = (model.explored.history[model.tag] ?? []).at(-1);
    return {
      title: page.text("search.history", { metric: model.tag }),
      make: () => historyFigure(this.model),
      summary: page.text("search.history.summary", {
        n: model.rows.length,
        metric: model.tag,
        value: best ? page.number(best[1]) : "",
        trial: best?.[0] ?? "",
      }),
      notes: [page.text(best ? "search.history.reading" : "search.nogoal")],
      table: (exact) =>
        this.table(
          [...model.rows].sort((a, b) => a.number - b.number),
          [],
          () => [],
          exact,
        ),
    };
  }

  parallel() {
    const { model, page } = this;
    if (!model.axes.length) return null;
    return {
      title: page.text("search.parallel"),
      make: () => parallelFigure(this.model),
      summary: page.text("search.parallel.summary", {
        n: model.rows.length,
        keys: model.axes.map((axis) => axis.short),
        metric: model.tag,
      }),
      notes: [page.text("search.parallel.reading")],
      table: (exact) =>
        this.table(
          model.rows,
          model.axes.map((axis) => axis.short),
          (row) => model.axes.map((axis, at) => placeText(axis, row.places[at], exact)),
          exact,
        ),
    };
  }

  pareto() {
    const { model, page } = this;
    const fronts = model.explored.fronts.filter((front) => front.metric === model.tag && front.front.length);
    if (!fronts.length) return null;
    const front = fronts.find(({ cost }) => cost === page.state.get("cost")) ?? fronts[0];
    const index = COSTS.indexOf(front.cost);
    const cost = (row) => (index >= 0 ? row.costs[index] : row.metrics[front.cost]?.mean) ?? null;
    choices(
      this.cost,
      page.text("search.cost"),
      fronts.map((each) => [each.cost, model.costName(each.cost)]),
      front.cost,
    );
    const rows = model.rows.filter((row) => row.y !== null && cost(row) !== null);
    const onFront = new Set(front.front);
    const shown = (value) => (value === null ? "–" : index < 0 ? page.number(value) : index ? page.memory(value) : page.duration(value));
    return {
      title: page.text("search.pareto", { metric: model.tag, cost: model.costName(front.cost) }),
      signature: front.cost,
      tools: [this.cost],
      make: () => paretoFigure(this.model, front, index),
      summary: page.text("search.pareto.summary", { n: rows.length, best: front.front.map((id) => model.byId.get(id)?.number) }),
      notes: [page.text("search.pareto.reading")],
      table: (exact) =>
        this.table(
          rows,
          [model.costName(front.cost), page.text("search.front")],
          (row) => [exact ? cost(row) : shown(cost(row)), onFront.has(row.id) ? page.text("search.front.yes") : ""],
          exact,
        ),
    };
  }

  curves() {
    const { model, page } = this;
    const { curves, rungs, notes } = model.explored;
    if (!curves || !curves.steps.length) return null;
    const list = h("details", {}, h("summary", {}, page.text("search.rungs")), rungTable(page, rungs));
    return {
      title: page.text("search.curves", { metric: curves.metric }),
      make: () => curvesFigure(this.model),
      summary: page.text("search.curves.summary", {
        n: Object.keys(curves.values).length,
        pruned: model.explored.states.pruned ?? 0,
        metric: curves.metric,
      }),
      notes: [page.text("search.curves.reading"), ...notes.map((note) => page.note(note)), ...(rungs.length ? [list] : [])],
      table: (exact) =>
        this.table(
          model.rows.filter((row) => curves.values[row.id]),
          curves.steps.map(String),
          (row) => curves.values[row.id].map((value) => (value === null ? "" : exact ? value : page.number(value))),
          exact,
        ),
    };
  }

  table(rows, heads, cells, exact) {
    const { model, page } = this;
    const value = (row) => (row.y === null ? (exact ? "" : "–") : exact ? row.y : page.summary(row.numbers));
    const state = (row) =>
      row.violated.length ? page.text("search.violated", { constraint: row.violated }) : page.text(`state.${row.state}`);
    return {
      head: [page.text("forest.trial"), ...heads, model.tag, ...(exact ? ["std"] : []), "n", page.text("trials.state")],
      rows: rows.map((row) => [
        page.trials.label(row.id),
        ...cells(row),
        value(row),
        ...(exact ? [row.numbers?.std ?? ""] : []),
        row.numbers?.n ?? 0,
        state(row),
      ]),
    };
  }

  drawLegend() {
    const { model, page } = this;
    const states = model.explored.states;
    const items = [
      model.few ? null : page.text("search.legend.many"),
      states.pruned ? `○ ${page.text("search.legend.pruned")}` : null,
      states.failed || states.infeasible ? `✕ ${page.text("search.legend.failed")}` : null,
      states.running || states.waiting || states.interrupted ? `△ ${page.text("search.legend.open")}` : null,
      model.all.some((row) => row.violated.length) ? `□ ${page.text("search.legend.violated")}` : null,
    ];
    fill(
      this.legend,
      items.filter(Boolean).map((item) => h("li", {}, item)),
    );
    this.legend.hidden = !this.legend.hasChildNodes();
  }

  // --------------------------------------------------------------------------------------------- what the charts ask of the tab
  hover(id) {
    if (id === this.hovered) return;
    this.hovered = id;
    for (const card of this.cards.values()) {
      if (!card.near) continue;
      card.plot.emphasise();
      card.tell();
    }
  }

  say(id) {
    if (id !== null) this.page.announce(this.model.sentence(id));
  }

  pick(id) {
    this.page.trials.toggle("pin", id);
  }

  /** A click pins, unless it turns out to be the first of two: a pin moves what is below it, and with it the place of the second click. */
  click(id) {
    clearTimeout(this.clicked);
    this.clicked = setTimeout(() => this.unmounted || this.pick(id), DOUBLE_MS);
  }

  open(id) {
    clearTimeout(this.clicked);
    const [run] = this.page.trials.byId.get(id).runs;
    if (run) this.page.state.set({ tab: "run", id: run });
  }

  /** A range of shares was dragged on an axis; null: a click, which takes its brush away. */
  brush(axis, range) {
    this.page.state.set({ f: writeBrush(this.page.state.get("f"), axis, range && brushOf(axis, ...range)) });
  }

  /** Colours of the page as a canvas knows them. */
  look() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();
    return Object.fromEntries(
      ["ink", "muted", "faint", "edge", "accent", "band", "paper"].map((name) => [name, color(name)]).concat([["rule", color("line")]]),
    );
  }

  /** Call f while the page has its light theme; nothing is painted in between. */
  inLightTheme(f) {
    const { dataset } = document.documentElement;
    const { theme } = dataset;
    const present = this.model;
    dataset.theme = "light";
    try {
      this.model = new SearchModel(this.page, present.explored);
      return f();
    } finally {
      this.model = present;
      if (theme === undefined) delete dataset.theme;
      else dataset.theme = theme;
    }
  }
}

function placeText(axis, place, exact) {
  if (place === null) return exact ? "" : "–";
  return axis.choices.length || !exact ? axis.label(place) : place;
}

function rungTable(page, rungs) {
  const names = ["step", "pruned", "finished", "pairs", "disagreed", "tau", "place"];
  const head = h(
    "tr",
    {},
    names.map((name) => h("th", { scope: "col", class: "number" }, page.text(`search.rungs.${name}`))),
  );
  const row = (rung) => [
    rung.step,
    rung.pruned,
    rung.finished,
    rung.pairs,
    rung.disagreed,
    rung.tau === null ? "–" : page.number(rung.tau),
    rung.winner_place ?? "–",
  ];
  const body = rungs.map((rung) =>
    h(
      "tr",
      {},
      row(rung).map((value, index) => (index ? h("td", { class: "number" }, value) : h("th", { scope: "row", class: "number" }, value))),
    ),
  );
  const label = page.text("search.rungs");
  return h(
    "div",
    { class: "scrolled", tabindex: "0", role: "region", "aria-label": label },
    h("table", { class: "plain" }, h("thead", {}, head), h("tbody", {}, body)),
  );
}
