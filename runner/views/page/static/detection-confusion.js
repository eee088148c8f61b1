// Confusion matrices of both trials, mean over their seeds, and the difference. A cell filters the gallery.
import { h } from "./dom.js";

const MOST_CLASSES = 12;

/**
 * The matrices side by side; of many classes those with the most change. `choose(true class, predicted class)` is called for a cell, with
 * null for the background.
 */
export function confusionMatrices(page, answer, choose) {
  const { confusion } = answer;
  if (!confusion) return h("p", { class: "muted" }, page.text("detection.confusion.none"));
  const background = confusion.names.length - 1;
  const { kept, left } = choice(confusion, background);
  const order = [...kept, background];
  const views = [
    confusion.b && confusion.a ? ["difference", (row, column) => confusion.b[row][column] - confusion.a[row][column]] : null,
    confusion.a ? ["a", (row, column) => confusion.a[row][column]] : null,
    confusion.b ? ["b", (row, column) => confusion.b[row][column]] : null,
  ].filter(Boolean);
  const scores = (side) => confusion.thresholds[side].map((value) => page.number(value, 2));
  return [
    h("div", { class: "matrices" }, views.map(([view, value]) => matrix(page, confusion, order, background, view, value, choose))),
    h(
      "p",
      { class: "small muted" },
      page.text("detection.confusion.reading", { iou: confusion.iou, a: scores(0), b: scores(1) }),
      left ? ` ${page.text("detection.confusion.left-out", { n: left })}` : "",
    ),
  ];
}

/** The classes to show, in their order. */
function choice(confusion, background) {
  const indices = [...Array(background).keys()];
  const wrong = (matrix, at) => (matrix ? matrix.reduce(
    (sum, row, index) => sum + (index === at ? 0 : row[at]),
    0,
  ) + matrix[at].reduce((sum, value, index) => sum + (index === at ? 0 : value), 0) : 0);
  const weight = (at) => (confusion.a && confusion.b ? Math.abs(
    wrong(confusion.b, at) - wrong(confusion.a, at),
  ) : wrong(confusion.a ?? confusion.b, at));
  const kept = [...indices].sort((one, other) => weight(other) - weight(one)).slice(0, MOST_CLASSES).sort((one, other) => one - other);
  return { kept, left: background - kept.length };
}

function matrix(page, confusion, order, background, view, value, choose) {
  const difference = view === "difference";
  const most = Math.max(1e-9, ...order.flatMap((row) => order.map((column) => Math.abs(value(row, column)))));
  const whole = order.every((row) => order.every((column) => Number.isInteger(value(row, column)) || Math.abs(value(row, column)) >= 10));
  const digits = whole ? 0 : 1; // the same in all cells
  const name = (index, side) => (index === background ? page.text(
    side === "row" ? "detection.confusion.nothing" : "detection.confusion.missed",
  ) : confusion.names[index]);
  const cell = (row, column) => {
    if (row === background && column === background) return h("td", { class: "empty" });
    const number = value(row, column);
    const good = row === column ? number > 0 : number < 0;
    const share = Math.round(40 * Math.sqrt(Math.abs(number) / most));
    const color = difference ? (good ? "--better" : "--worse") : row === column ? "--muted" : "--worse";
    const text = difference ? page.signed(number, digits) : page.number(number, digits);
    const label = page.text("detection.confusion.cell", { row: name(row, "row"), column: name(column, "column"), value: text });
    const pick = () => choose(row === background ? null : confusion.names[row], column === background ? null : confusion.names[column]);
    const style = number ? { background: `color-mix(in srgb, var(${color}) ${share}%, transparent)` } : {};
    return h(
      "td",
      { style },
      h("button", { type: "button", class: number ? "" : "zero", "aria-label": label, title: label, onclick: pick }, number ? text : "·"),
    );
  };
  const title = page.text(`detection.confusion.${view}`);
  const head = h(
    "tr",
    {},
    h("td", { class: "corner small muted" }, page.text("detection.confusion.axes")),
    order.map((column) => h("th", { scope: "col" }, h("span", {}, name(column, "column")))),
  );
  const body = order.map((row) => h("tr", {}, h("th", { scope: "row" }, name(row, "row")), order.map((column) => cell(row, column))));
  return h(
    "div",
    { class: "scrolled", role: "region", tabindex: "0", "aria-label": title },
    h("table", { class: "matrix" }, h("caption", {}, title), h("thead", {}, head), h("tbody", {}, body)),
  );
}
