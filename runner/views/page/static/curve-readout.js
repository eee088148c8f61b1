// The read-out beside a chart: the values at the cursor, highest first; without a cursor the last values, as a legend.

import { hoverKey } from "./chart.js";
import { valuesAt } from "./chart-range.js";
import { fill, h } from "./dom.js";
import { curveSwatch } from "./swatch.js";
import { minus, tickLabels } from "./ticks.js";

const SHOWN = 8;
const NEAR = 8; // pixels between the cursor and a mark that it tells of

/** A value of a curve in few characters: three decimals, or three digits of a small or large number. */
export function curveNumber(value) {
  if (value === null || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size === 0 || (size >= 0.1 && size < 1e5)) return minus(value.toFixed(3));
  return minus(size >= 0.001 && size < 1e5 ? value.toPrecision(3) : value.toExponential(2).replace("e+", "e"));
}

/** A place on the x axis in words: a step as a whole number, a time as a clock. */
export function placeText(page, x, kind) {
  const value =
    kind === "time"
      ? page.duration(x)
      : kind === "wall"
        ? wallText(x, page.language)
        : tickLabels([round(x)], "number", false, page.language)[0];
  return page.text("curves.at", { axis: page.text(`curves.x.${kind}`), value });
}

function round(x) {
  return Math.abs(x) >= 20 ? Math.round(x) : Number(x.toPrecision(3));
}

function wallText(seconds, lang) {
  return new Intl.DateTimeFormat(lang, { dateStyle: "short", timeStyle: "medium" }).format(new Date(seconds * 1000));
}

export class Readout {
  /** @param {object} page see tabs.js  @param {{focus: function(?string), release: function()}} handlers */
  constructor(page, handlers) {
    Object.assign(this, { page, handlers, whole: false, values: [], key: "" });
    this.root = h("div", { class: "readout" });
  }

  show(figure, chart, cursor, { x }) {
    const index = chart.index();
    const place = index === null ? "" : placeText(this.page, figure.xs[index], x);
    this.values = index === null ? lastValues(figure) : valuesAt(figure, index);
    this.place = place;
    const near = chart.focused?.id ?? null;
    const marks = index === null ? [] : marksNear(figure, figure.xs[index], chart);
    const key = JSON.stringify([
      place,
      near,
      cursor.frozen,
      this.whole,
      this.page.language,
      marks.length,
      this.values.map(({ line, value }) => [line.id, line.color, line.name, value]),
    ]);
    if (key === this.key) return;
    this.key = key;
    const rows = this.values.slice(0, this.whole ? Infinity : SHOWN);
    const nearest = this.values.find(({ line }) => line.id === near);
    if (nearest && !rows.includes(nearest)) rows[rows.length - 1] = nearest;
    fill(
      this.root,
      this.header(place, cursor),
      h(
        "ul",
        { class: "readout-rows" },
        rows.map((row) => this.row(row, near)),
      ),
      this.more(),
      marks.map((mark) => this.markLine(mark)),
    );
  }

  header(place, { frozen }) {
    const { text } = this.page;
    const release = frozen
      ? h("button", { type: "button", class: "quiet", onclick: () => this.handlers.release() }, text("curves.release"))
      : null;
    return h("div", { class: "readout-head" }, h("strong", {}, place || text("curves.last")), release);
  }

  row({ line, value }, near) {
    const events = { onpointerenter: () => this.handlers.focus(line.id), onpointerleave: () => this.handlers.focus(null) };
    return h(
      "li",
      { class: line.id === near ? "near" : "", "data-hover": hoverKey(line), ...events },
      curveSwatch(line),
      h("span", { class: "readout-value" }, curveNumber(value)),
      h("span", { class: "readout-name", title: line.name }, line.name),
    );
  }

  more() {
    const rest = this.values.length - SHOWN;
    if (rest <= 0) return null;
    const turn = () => {
      this.whole = !this.whole;
      this.key = "";
      this.handlers.focus(null);
      this.handlers.again();
    };
    return h(
      "button",
      { type: "button", class: "quiet", "aria-expanded": String(this.whole), onclick: turn },
      this.whole ? this.page.text("curves.fewer") : this.page.text("curves.more", { count: rest }),
    );
  }

  markLine({ line, mark }) {
    const values = {
      kind: mark.kind,
      name: line.name,
      place: tickLabels([round(mark.x)], "number", false, this.page.language)[0],
      attempt: mark.attempt ?? "",
    };
    return h("p", { class: "muted" }, this.page.text("curves.mark", { ...values, value: curveNumber(mark.y ?? null) }));
  }

  /** The place and the highest values, as a sentence. */
  sentence() {
    if (!this.place) return "";
    return [this.place, ...this.values.slice(0, 3).map(({ line, value }) => `${line.name} ${curveNumber(value)}`)].join(", ");
  }
}

function lastValues(figure) {
  const found = [];
  for (const line of figure.lines) {
    const value = line.ys.findLast((item) => !Number.isNaN(item));
    if (value !== undefined) found.push({ line, value });
  }
  return found.sort((a, b) => b.value - a.value);
}

function marksNear(figure, x, chart) {
  const width = chart.pixel() * NEAR;
  return figure.lines
    .flatMap((line) => line.marks.filter((mark) => Math.abs(mark.x - x) <= width).map((mark) => ({ line, mark })))
    .slice(0, 4);
}
