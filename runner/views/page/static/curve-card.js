// A card of the Curves tab: one chart with its title, controls, read-out and table.

import { Chart, hoverKey } from "./chart.js";
import { occupied } from "./chart-range.js";
import { csvTable, pgfplotsTable, svgDocument } from "./chart-export.js";
import { csvText, sourceNotes } from "./csv.js";
import { CurveLoader, FROZEN_DIGITS } from "./curve-loader.js";
import { makeFigure } from "./curve-figure.js";
import { Readout, curveNumber } from "./curve-readout.js";
import { valueTable } from "./curve-table.js";
import { fill, h } from "./dom.js";
import { csvKind, exportMenu, figureKinds } from "./export-menu.js";
import { failure } from "./failure.js";

const EDGE = 0.015; // of the x axis, free beside the curves
const X_UNITS = {
  step: "step",
  relative: "percent of the planned steps",
  epoch: "epoch",
  images: "images seen",
  time: "seconds since the start",
  wall: "seconds since 1970",
};

export class CurveCard {
  /**
   * @param {object} page see tabs.js
   * @param {string[]} tags shown in this chart
   * @param {object} tab what the tab's cards share: cursor, settings(), line(series), zoom(range), scale(tags, range) of the
   *   y axis, setList(key, value, on), overlay(tags, tag); `plain`: its cards have no controls but the export
   */
  constructor(page, tags, tab) {
    Object.assign(this, { page, tags, tab });
    this.loader = new CurveLoader(page.source, tags);
    this.readout = new Readout(page, {
      focus: (id) => this.chart.focus(id),
      release: () => tab.cursor.freeze(false),
      again: () => this.told(),
    });
    const handlers = {
      zoom: (range) => tab.zoom(range),
      scale: (range) => tab.scale(tags, range),
      moved: () => this.told(),
      said: () => this.say(),
      pointed: (line) => page.hover.set(line && hoverKey(line)),
    };
    this.end = page.hover.subscribe((key) => this.pointedAt(key));
    this.chart = new Chart(tab.cursor, handlers);
    this.head = h("header", { class: "card-head" });
    this.notes = h("div", { class: "card-notes" });
    this.body = h("div", { class: "card-body" }, this.chart.root, this.readout.root);
    this.table = h("div", {});
    this.root = h("section", { class: "curve-card", "data-tag": tags.join(",") }, this.head, this.body, this.notes, this.table);
    this.near = false;
  }

  /** The card is within a screen of what is seen, or no longer. */
  approach(near) {
    this.near = near;
    if (near) this.update();
  }

  /** Show the card in the present state; reads data only while it is near. */
  async update() {
    this.showHead();
    if (!this.near) return;
    const settings = this.tab.settings(this.tags);
    const waiting = setTimeout(() => fill(this.notes, h("p", { class: "muted" }, this.page.text("curves.loading"))), 300);
    try {
      const loading = this.loader.load(settings, () => this.show());
      this.show();
      await loading;
      clearTimeout(waiting);
      this.show();
      this.tab.read(this.loader);
    } catch (error) {
      clearTimeout(waiting);
      fill(this.notes, failure(this.page, error));
    }
  }

  /** Show what is loaded by now. */
  show() {
    const answers = this.loader.shown;
    const settings = this.tab.settings(this.tags);
    if (!answers || !this.root.isConnected) return;
    const { text } = this.page;
    const look = this.tab.look();
    const figure = makeFigure(answers, {
      ...settings,
      lines: (series) => this.tab.line(series),
      context: (series) => this.tab.isContext(series),
    });
    this.figure = figure;
    const whole = wholeRange(answers[0], settings, figure);
    const { logY: log, trim, values: y } = settings;
    this.axes = { x: xRange(answers[0], settings, whole), whole, y, log, trim, lang: this.page.language };
    this.summary = this.describe(figure);
    this.chart.show(figure, this.axes, look, { summary: this.summary, help: text("curves.keys", { tag: this.title }) });
    this.told();
    fill(
      this.notes,
      this.sentences(figure, answers, settings).map((sentence) => h("p", { class: "muted" }, sentence)),
    );
    fill(this.table, settings.table ? valueTable(this.page, figure, settings, this.title) : null);
    this.root.dataset.points = String(figure.lines.length);
  }

  get title() {
    return this.tags.join(" · ");
  }

  showHead() {
    const { text } = this.page;
    const tag = this.tags.join(",");
    const settings = this.tab.settings(this.tags);
    const toggle = (id, on, act) => h("button", { type: "button", class: "quiet", "aria-pressed": String(on), onclick: act }, text(id));
    const list = (key, on) => () => this.tab.setList(key, tag, !on);
    const key = JSON.stringify([settings, this.page.language, this.tab.others(this.tags)]);
    if (key === this.headKey) return;
    this.headKey = key;
    const focused = [...this.head.querySelectorAll("button, select, summary")].indexOf(document.activeElement);
    fill(
      this.head,
      h("h2", {}, this.title),
      h(
        "div",
        { class: "card-tools" },
        this.tab.plain
          ? null
          : [
              toggle("curves.pin", settings.top, list("top", settings.top)),
              toggle("curves.logy", settings.logY, list("logy", settings.logYHere)),
              h("span", { class: "wide-toggle" }, toggle("curves.wide", settings.wide, list("wide", settings.wide))),
              toggle("curves.table", settings.table, list("table", settings.table)),
              this.overlayMenu(),
            ],
        this.exportMenu(),
      ),
    );
    if (focused >= 0) this.head.querySelectorAll("button, select, summary")[focused]?.focus();
  }

  overlayMenu() {
    const { text } = this.page;
    const choose = (event) => event.target.value && this.tab.overlay(this.tags, event.target.value);
    const options = this.tab.others(this.tags).map((tag) => h("option", { value: tag }, tag));
    const select = h(
      "select",
      { "aria-label": text("curves.overlay.label", { tag: this.title }), onchange: choose },
      h("option", { value: "" }, text("curves.overlay")),
      options,
    );
    const single =
      this.tags.length > 1
        ? h("button", { type: "button", class: "quiet", onclick: () => this.tab.overlay([], "") }, text("curves.separate"))
        : null;
    return [options.length ? select : null, single];
  }

  exportMenu() {
    const kinds = [
      ...figureKinds(() => this.svg()),
      csvKind(() => csvText({ ...csvTable(this.figure, this.xName(), this.digits), notes: this.exportNotes() })),
      ...(this.page.source.frozen ? [] : [csvKind(() => this.whole(), { text: "export.whole", ending: "all.csv" })]),
      csvKind(() => pgfplotsTable(this.figure, this.tab.settings(this.tags).x, this.digits, this.exportNotes()), {
        text: "export.pgfplots",
        ending: "dat.csv",
      }),
    ];
    return exportMenu(
      this.page,
      () => this.tags.join("+"),
      kinds,
      (error) => fill(this.notes, failure(this.page, error)),
    );
  }

  /** What exported values are: of which runs, which tags, in which unit of the x axis. */
  exportNotes() {
    const { x, smoothing } = this.tab.settings(this.tags);
    const { digits, page } = this;
    const runs = ({ trial, series }) => (series.kind === "run" ? [series.id] : page.trials.byId.get(trial).runs);
    const lines = this.figure.lines.filter(({ trial }) => trial !== null);
    return [
      ...sourceNotes(
        page,
        lines.map((line) => [line.name, runs(line)]),
      ),
      `values: ${this.title}${smoothing > 0 ? `, runs smoothed by ${smoothing}` : ""}${digits ? `, ${digits} digits of them` : ""}`,
      `x axis: ${X_UNITS[x]}`,
    ];
  }

  /** Every value, not thinned; of several tags one below the other. */
  async whole() {
    const tables = await Promise.all(this.tags.map((tag) => this.page.source.binary("points", { tag })));
    const texts = tables.map((table) => new TextDecoder().decode(table));
    return texts.map((text, place) => (place ? text.slice(text.indexOf("\n") + 1) : text)).join("");
  }

  /** Significant digits of exported values; null: all. */
  get digits() {
    return this.page.source.frozen ? FROZEN_DIGITS : null;
  }

  xName() {
    return this.page.text(`curves.x.${this.tab.settings(this.tags).x}`);
  }

  /** The figure for a paper: on white, whatever the theme. */
  svg() {
    return this.tab.inLightTheme(() => {
      const settings = this.tab.settings(this.tags);
      const figure = makeFigure(this.loader.shown, {
        ...settings,
        lines: (series) => this.tab.line(series),
        context: (series) => this.tab.isContext(series),
      });
      const ranges = { ...this.chart.range, kind: axisKind(settings.x), lang: this.page.language };
      return svgDocument(figure, ranges, this.tab.look(), { title: this.title, x: this.xName(), y: this.title, summary: this.summary });
    });
  }

  describe(figure) {
    const baseline = figure.lines.find(({ trial }) => trial === this.page.trials.baseline().id);
    const ends = baseline?.series.end?.[1] ?? lastOf(baseline?.ys ?? []);
    const values = {
      tag: this.title,
      lines: figure.lines.length,
      others: figure.context.length,
      ends: ends === null ? "" : curveNumber(ends),
    };
    return this.page.text("curves.summary", values);
  }

  sentences(figure, answers, settings) {
    const { text } = this.page;
    const kinds = new Map();
    for (const { marks } of figure.lines) for (const { kind } of marks) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    const count = (...names) => names.reduce((sum, name) => sum + (kinds.get(name) ?? 0), 0);
    const found = [];
    if (!figure.lines.length && !figure.context.length) found.push(text(settings.x === "images" ? "curves.noimages" : "curves.nothing"));
    if (count("nan", "inf", "-inf")) found.push(text("curves.nonfinite", { count: count("nan", "inf", "-inf") }));
    if (count("below")) found.push(text("curves.below", { count: count("below") }));
    if (figure.ghosts.length) found.push(text("curves.ghosts.note"));
    if (count("resumed")) found.push(text("curves.resumed", { count: count("resumed") }));
    if (figure.quiet) found.push(text("curves.quiet"));
    if (count("ended")) found.push(text("curves.ended"));
    return found;
  }

  /** Cursor or focus have changed. */
  told() {
    if (this.figure) this.readout.show(this.figure, this.chart, this.tab.cursor, this.tab.settings(this.tags));
  }

  /** Say what the keyboard moved the cursor to. */
  say() {
    const sentence = this.readout.sentence();
    if (sentence) this.page.announce(sentence);
  }

  /** A trial is pointed at, here or elsewhere. */
  pointedAt(key) {
    if (!this.figure || !this.near) return;
    this.chart.emphasise(key);
    this.told();
  }

  destroy() {
    this.end();
    this.chart.destroy();
  }
}

/** How an x axis is labelled. */
export function axisKind(x) {
  return x === "time" || x === "wall" ? x : "number";
}

function xRange({ whole: { positive: first } }, settings, whole) {
  const range = settings.zoom ?? whole;
  const positive = settings.logX && range.low <= 0 ? first : range.low;
  const high = range.high > positive ? range.high : positive + 1;
  return { low: positive, high, log: settings.logX, kind: axisKind(settings.x) };
}

/** The whole of the x axis and a little more, so that first and last points are not cut; around a single place, as much on each side. */
function wholeRange({ whole }, { logX: log, x, zoom }, figure) {
  const { from, to } = x === "relative" ? { from: 0, to: 100 } : whole;
  const places = occupied(figure);
  if (places.length === 1 && !log && !zoom && x !== "relative") return { low: figure.xs[places[0]] - 1, high: figure.xs[places[0]] + 1 };
  if (log) {
    const low = from > 0 ? from : whole.positive;
    const factor = Math.max(1, to / low) ** EDGE;
    return { low: low / factor, high: to * factor };
  }
  const margin = EDGE * (to - from);
  return { low: from - margin, high: to + margin };
}
function lastOf(ys) {
  for (let index = ys.length - 1; index >= 0; index--) if (!Number.isNaN(ys[index])) return ys[index];
  return null;
}
