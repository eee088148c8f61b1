// A card of the Search tab with a chart: head, chart, what is emphasised in one line, reading, table, exports.
import { csvText, sourceNotes } from "./csv.js";
import { fill, h } from "./dom.js";
import { csvKind, exportMenu, figureKinds } from "./export-menu.js";
import { failure } from "./failure.js";
import { figureSvg, SearchPlot } from "./search-plot.js";

const MOST_ROWS = 200;
const LATER_MS = 50;
const UNITS = "units: time in seconds, memory in GiB";

export class ChartCard {
  /** @param {object} tab of search-plot.js, and page, look(), lightLook(f) */
  constructor(tab, name, className = "") {
    Object.assign(this, { tab, page: tab.page, name });
    this.plot = new SearchPlot(tab);
    this.head = h("header", { class: "card-head" });
    this.readout = h("p", { class: "search-readout muted" });
    this.notes = h("div", { class: "card-notes" });
    this.table = h("div", {});
    this.root = h(
      "section",
      { class: `curve-card search-card ${className}`, "data-card": name },
      this.head,
      this.plot.root,
      this.readout,
      this.notes,
      this.table,
    );
    this.near = false;
  }

  /**
   * Show the card. `content` is {title, make(): figure, summary, notes: [sentence or element], tools: [element], table(): {head, rows}};
   * the figure is made when the card is near.
   */
  show(content) {
    this.content = content;
    this.due = true;
    this.plot.name(content.summary, this.page.text("search.keys", { chart: content.title }));
    if (!this.near) return;
    const { top, bottom } = this.root.getBoundingClientRect();
    if (bottom > 0 && top < innerHeight) this.draw();
    else setTimeout(() => this.due && this.near && this.draw(), LATER_MS); // what is seen comes first
  }

  approach(near) {
    this.near = near;
    if (near && this.due) this.draw();
  }

  draw() {
    const { content } = this;
    this.due = false;
    this.drawHead();
    this.plot.show(content.make(), this.tab.look());
    fill(
      this.notes,
      (content.notes ?? []).map((note) => h("p", { class: "small muted" }, note)),
    );
    fill(this.table, this.shown() ? this.values() : null);
    this.tell();
  }

  drawHead() {
    const { page, content } = this;
    const key = JSON.stringify([content.title, page.language, this.shown(), content.signature ?? ""]);
    if (key === this.headKey) return;
    this.headKey = key;
    const focused = [...this.head.querySelectorAll("button, select, summary")].indexOf(document.activeElement);
    const asTable = h(
      "button",
      { type: "button", class: "quiet", "aria-pressed": String(this.shown()), onclick: () => this.toggle() },
      page.text("curves.table"),
    );
    fill(this.head, h("h2", {}, content.title), h("div", { class: "card-tools" }, content.tools ?? [], asTable, this.exportMenu()));
    if (focused >= 0) this.head.querySelectorAll("button, select, summary")[focused]?.focus();
  }

  shown() {
    return this.page.state.list("rows").includes(encodeURIComponent(this.name));
  }

  toggle() {
    const name = encodeURIComponent(this.name);
    const others = this.page.state.list("rows").filter((each) => each !== name);
    this.page.state.set({ rows: (this.shown() ? others : [...others, name]).join(",") });
  }

  /** What is emphasised, in one line. */
  tell() {
    const { hovered, model } = this.tab;
    fill(this.readout, hovered !== null && model.byId.has(hovered) ? model.sentence(hovered) : " ");
  }

  values() {
    const { head, rows } = this.content.table();
    const more = rows.length - MOST_ROWS;
    const cells = (row) => row.map((value, index) => (index ? h("td", { class: "number" }, value) : h("th", { scope: "row" }, value)));
    const table = h(
      "table",
      { class: "curve-values" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          head.map((name) => h("th", { scope: "col" }, name)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.slice(0, MOST_ROWS).map((row) => h("tr", {}, cells(row))),
      ),
    );
    const label = this.page.text("curves.table.label", { tag: this.content.title });
    return h(
      "div",
      { class: "curve-scroll", role: "region", tabindex: 0, "aria-label": label },
      table,
      more > 0 ? h("p", { class: "small muted" }, this.page.text("more", { n: more })) : null,
    );
  }

  exportMenu() {
    return exportMenu(
      this.page,
      () => this.content.title,
      [...figureKinds(() => this.svg()), csvKind(() => this.csv())],
      (error) => fill(this.notes, failure(this.page, error)),
    );
  }

  /** The chart for a paper: on white, whatever the theme. */
  svg() {
    const { title, summary, make } = this.content;
    return this.tab.inLightTheme(() => figureSvg(make(), this.tab.look(), { title, summary, legend: this.tab.model.legend() }));
  }

  csv() {
    const { head, rows } = this.content.table(true);
    const { tag } = this.tab.model;
    return csvText({ head, rows, notes: [...sourceNotes(this.page, []), `metric: ${tag}, mean and std over the seeds`, UNITS] });
  }

  destroy() {
    this.plot.destroy();
  }
}
