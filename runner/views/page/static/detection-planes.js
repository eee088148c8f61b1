// Charts on the unit square: precision over recall by class, and how many detections are right at each score.
import { h } from "./dom.js";
import { heading } from "./detection-classes.js";

const MOST_CURVES = 8; // of single classes, until all are asked for
const SIZE = { width: 240, height: 200, left: 30, bottom: 20, top: 6, right: 8 };
const LARGE = { ...SIZE, width: 380, height: 300, left: 40, bottom: 36, top: 8 };

/** A plane from 0 to 1 on both axes. */
class Plane {
  constructor(size, { x, y } = {}) {
    this.size = size;
    this.names = { x, y };
    this.shapes = [];
  }

  x(value) {
    const { left, width, right } = this.size;
    return (left + (width - left - right) * value).toFixed(1);
  }

  y(value) {
    const { top, height, bottom } = this.size;
    return (top + (height - top - bottom) * (1 - value)).toFixed(1);
  }

  line(points, attributes) {
    this.shapes.push(h("polyline", { fill: "none", points: points.map(([x, y]) => `${this.x(x)},${this.y(y)}`).join(" "), ...attributes }));
  }

  area(upper, lower, attributes) {
    const points = [...upper, ...[...lower].reverse()].map(([x, y]) => `${this.x(x)},${this.y(y)}`);
    this.shapes.push(h("polygon", { points: points.join(" "), ...attributes }));
  }

  dot(x, y, attributes) {
    this.shapes.push(h("circle", { cx: this.x(x), cy: this.y(y), r: 4.5, ...attributes }));
  }

  svg(label) {
    const { width, height, left, bottom } = this.size;
    const marks = [0, 0.5, 1];
    const grid = marks.flatMap((mark) => [
      h("line", { class: "grid", x1: this.x(0), x2: this.x(1), y1: this.y(mark), y2: this.y(mark) }),
      h("line", { class: "grid", x1: this.x(mark), x2: this.x(mark), y1: this.y(0), y2: this.y(1) }),
      h("text", { x: left - 6, y: Number(this.y(mark)) + 4, "text-anchor": "end" }, mark),
      h("text", { x: this.x(mark), y: height - bottom + 15, "text-anchor": mark === 1 ? "end" : "middle" }, mark),
    ]);
    const { x, y } = this.names;
    const names = [
      x ? h("text", { class: "axis-name", x: this.x(0.5), y: height - 4, "text-anchor": "middle" }, x) : null,
      y ? h("text", { class: "axis-name", transform: `translate(12 ${this.y(0.5)}) rotate(-90)`, "text-anchor": "middle" }, y) : null,
    ];
    return h(
      "svg",
      { role: "img", "aria-label": label, viewBox: `0 0 ${width} ${height}`, class: "plane-of-two" },
      grid,
      names,
      this.shapes,
    );
  }
}

/** Precision over recall of both sides: mean over the seeds, band from the lowest to the highest, and where F1 is highest. */
export function curveGrid(page, answer, { pair, all, showAll, chosen }) {
  const [total, ...classes] = answer.curves[0]?.name === null ? answer.curves : [null, ...answer.curves];
  const order = [...classes].sort((one, other) => (other.name === chosen) - (one.name === chosen));
  const shown = all ? order : order.slice(0, MOST_CURVES);
  const axes = { x: page.text("detection.recall"), y: page.text("detection.precision") };
  const figure = (each, size, names) => h(
    "figure",
    {},
    h("figcaption", {}, each.name ?? page.text("detection.all")),
    curve(page, each, pair, size, names),
  );
  const summary = h("summary", {}, page.text("detection.table"));
  return [
    h(
      "div",
      { class: "curve-grid" },
      total ? h("div", { class: "first" }, figure(total, LARGE, axes)) : null,
      h("div", { class: "small-multiples" }, shown.map((each) => figure(each, SIZE, {}))),
    ),
    shown.length < classes.length ? h(
      "button",
      { type: "button", class: "quiet", onclick: showAll },
      page.text("detection.more", { n: classes.length - shown.length }),
    ) : null,
    h("p", { class: "small muted" }, page.text("detection.curves.reading")),
    h("details", { class: "behind" }, summary, curveTable(page, [total, ...classes].filter(Boolean), answer.b !== null)),
  ];
}

function curve(page, each, pair, size, names) {
  const plane = new Plane(size, names);
  const sides = ["a", "b"].filter((side) => each[side]);
  const points = (values) => values.map((value, index) => [index / (values.length - 1), value]);
  for (const side of sides) if (each[side].n > 1) plane.area(
    points(each[side].high),
    points(each[side].low),
    { fill: pair[side].css, "fill-opacity": 0.14 },
  );
  for (const side of sides) plane.line(
    points(each[side].mean),
    { stroke: pair[side].css, "stroke-width": 1.75, "stroke-dasharray": pair[side].dash },
  );
  for (const side of sides) {
    const { best } = each[side];
    if (best.f1 > 0) plane.dot(
      best.recall,
      best.precision,
      side === "a" ? { class: "hollow", stroke: pair.a.css } : { fill: pair.b.css, stroke: pair.b.css },
    );
  }
  const best = sides.map((side) => `${side.toUpperCase()} ${page.number(each[side].best.f1)}`);
  return plane.svg(page.text("detection.curves.summary", { name: each.name ?? page.text("detection.all"), best }));
}

function curveTable(page, rows, two) {
  const columns = ["f1", "precision", "recall"];
  const sides = two ? ["a", "b"] : ["a"];
  const head = heading(
    [
      page.text("detection.col.class"),
      ...sides.flatMap((side) => columns.map((name) => `${side.toUpperCase()} ${page.text(`detection.${name}`)}`)),
    ],
    [1, 2, 3, 4, 5, 6],
  );
  const body = rows.map((each) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, each.name ?? page.text("detection.all")),
      sides.flatMap((side) => columns.map((name) => h("td", { class: "number" }, page.number(each[side]?.best[name])))),
    ),
  );
  const label = page.text("detection.curves.caption");
  return h(
    "div",
    { class: "scrolled", role: "region", tabindex: "0", "aria-label": label },
    h("table", { class: "plain" }, h("caption", { class: "small muted" }, label), h("thead", {}, head), h("tbody", {}, body)),
  );
}

/** How many detections are right at each score, of both sides. */
export function reliabilityChart(page, answer, pair) {
  const sides = ["a", "b"].filter((side) => answer[side]);
  if (!sides.length) return h("p", { class: "muted" }, answer.problem || page.text("detection.calibration.missing"));
  const plane = new Plane(LARGE, { x: page.text("detection.score"), y: page.text("detection.right") });
  plane.line([[0, 0], [1, 1]], { class: "diagonal" });
  for (const side of sides) {
    const bins = answer[side].filter((bin) => bin.right !== null);
    for (const bin of bins) if (bin.most > bin.least) plane.line(
      [[bin.score, bin.least], [bin.score, bin.most]],
      { stroke: pair[side].css, opacity: 0.5 },
    );
    plane.line(
      bins.map((bin) => [bin.score, bin.right]),
      { stroke: pair[side].css, "stroke-width": 1.75, "stroke-dasharray": pair[side].dash },
    );
    for (const bin of bins) plane.dot(
      bin.score,
      bin.right,
      side === "a" ? { class: "hollow", stroke: pair.a.css, r: 3.5 } : { fill: pair.b.css, stroke: pair.b.css, r: 3.5 },
    );
  }
  const label = page.text("detection.calibration.summary", { iou: answer.iou });
  const head = heading(
    [
      page.text("detection.score"),
      ...sides.flatMap((side) => [
        `${side.toUpperCase()} ${page.text("detection.right")}`,
        `${side.toUpperCase()} ${page.text("detection.count")}`,
      ]),
    ],
    [0, 1, 2, 3, 4],
  );
  const body = answer[sides[0]].map((bin, index) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", class: "number" }, `${page.number(bin.low, 1)}–${page.number(bin.high, 1)}`),
      sides.flatMap((side) => [
        h("td", { class: "number" }, page.number(answer[side][index].right)),
        h("td", { class: "number" }, page.number(answer[side][index].count, 0)),
      ]),
    ),
  );
  return [
    plane.svg(label),
    h("p", { class: "small muted" }, page.text("detection.calibration.reading", { iou: answer.iou })),
    answer.problem ? h("p", { class: "small" }, answer.problem) : null,
    h(
      "details",
      { class: "behind" },
      h("summary", {}, page.text("detection.table")),
      h("table", { class: "plain" }, h("caption", { class: "offscreen" }, label), h("thead", {}, head), h("tbody", {}, body)),
    ),
  ];
}
