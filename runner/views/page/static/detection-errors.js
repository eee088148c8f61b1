// What kinds of errors cost of both trials, and their AP by the size of the boxes: tables with drawn bars.
import { across, deltaCell, dumbbell, heading, judgement, known, number } from "./detection-classes.js";
import { h } from "./dom.js";

const BAR = 7;

/** Two bars, A above B, with the single seeds as ticks. */
function bars(row, pair, most) {
  const bar = (summary, side, y) => {
    if (!known(summary)) return null;
    const width = across(Math.max(0, summary.mean), 0, most);
    const ticks = summary.n > 1 ? summary.values.map((value) => h(
      "line",
      { class: "seed", x1: across(value, 0, most), x2: across(value, 0, most), y1: y, y2: y + BAR },
    )) : null;
    const shape = side === "a" ? { class: "outline", stroke: pair.a.css } : { fill: pair.b.css };
    return [h("rect", { x: "0", y, width, height: BAR, ...shape }), ticks];
  };
  return h("svg", { "aria-hidden": "true" }, bar(row.a, "a", 3), bar(row.b, "b", 3 + BAR + 3));
}

/** The kinds of errors (TIDE). */
export function errorTable(page, answer, { pair, provisional }) {
  if (!answer.errors.length) return h("p", { class: "muted" }, page.text("detection.errors.none"));
  const two = answer.b !== null;
  const most = Math.max(1e-6, ...answer.errors.flatMap((row) => [row.a, row.b].flatMap((each) => (known(each) ? each.values : []))));
  const count = (value, side) => number(page, `count-${side}`, value === null ? "–" : page.number(value, 0));
  const body = answer.errors.map((row) =>
    h(
      "tr",
      { class: row.name === "false" ? "after" : null },
      h(
        "th",
        { scope: "row" },
        h("span", { class: "main" }, page.text(`detection.error.${row.name}`)),
        h("span", { class: "sub" }, page.text(`detection.error.${row.name}.what`)),
      ),
      h("td", { class: "plot" }, bars(row, pair, most)),
      number(page, "a", page.summary(row.a)),
      two ? [
        number(page, "b", page.summary(row.b)),
        h("td", { class: "number delta" }, deltaCell(page, row)),
        h("td", { class: "judgement" }, judgement(page, row, provisional)),
      ] : null,
      count(row.counts[0], "a"),
      two ? count(row.counts[1], "b") : null,
    ),
  );
  const names = [
    "error",
    "lost",
    "a",
    ...(two ? ["b", "delta", "judgement"] : []),
    "count-a",
    ...(two ? ["count-b"] : []),
  ].map((id) => page.text(`detection.col.${id}`));
  return [
    h(
      "table",
      { class: "pairs-table errors" },
      h("caption", { class: "offscreen" }, page.text("detection.errors.caption")),
      h("thead", {}, heading(names, two ? [2, 3, 4, 6, 7] : [2, 3])),
      h("tbody", {}, body),
    ),
    h("p", { class: "small muted" }, page.text("detection.errors.reading")),
  ];
}

/** AP of small, medium and large boxes. */
export function sizeTable(page, answer, { pair, provisional }) {
  const two = answer.b !== null;
  if (!answer.sizes.length) return h("p", { class: "muted" }, page.text("detection.sizes.none"));
  const body = answer.sizes.map((row) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, page.text(`detection.size.${row.name.at(-1)}`)),
      h("td", { class: "plot" }, dumbbell(row, pair, 0, 1)),
      number(page, "a", page.summary(row.a)),
      two ? [
        number(page, "b", page.summary(row.b)),
        h("td", { class: "number delta" }, deltaCell(page, row)),
        h("td", { class: "judgement" }, judgement(page, row, provisional)),
      ] : null,
    ),
  );
  const names = ["size", "plot", "a", ...(two ? ["b", "delta", "judgement"] : [])].map((id) => page.text(`detection.col.${id}`));
  return h(
    "table",
    { class: "pairs-table" },
    h("caption", { class: "offscreen" }, page.text("detection.sizes")),
    h("thead", {}, heading(names, [2, 3, 4])),
    h("tbody", {}, body),
  );
}
