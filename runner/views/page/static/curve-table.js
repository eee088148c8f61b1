// The table behind a chart: each line with some of its values, for those who cannot see it, and to copy.

import { curveNumber } from "./curve-readout.js";
import { nearestIndex, occupied } from "./chart-range.js";
import { h } from "./dom.js";
import { tickLabels } from "./ticks.js";

const PLACES = 5;
const ROWS = 200;

export function valueTable(page, figure, { x }, title) {
  const { text } = page;
  const used = occupied(figure);
  if (!used.length) return null;
  const [first, last] = [figure.xs[used[0]], figure.xs[used.at(-1)]];
  const places = [
    ...new Set(
      Array.from({ length: PLACES }, (_, place) => nearestIndex(figure.xs, used, first + ((last - first) * place) / (PLACES - 1))),
    ),
  ];
  const label = (value) =>
    x === "time" ? page.duration(value) : tickLabels([Math.round(value)], x === "wall" ? "wall" : "number", false, page.language)[0];
  const axis = text(`curves.x.${x}`);
  const number = (value) => h("td", { class: "number" }, curveNumber(value));
  const heads = places.map((index) => h("th", { scope: "col", class: "number" }, `${axis} ${label(figure.xs[index])}`));
  const rows = figure.lines.slice(0, ROWS).map((line) => {
    const best = line.series.best;
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, line.name),
      places.map((index) => number(line.ys[index])),
      h("td", { class: "number" }, best ? `${curveNumber(best[1])} (${label(best[0])})` : "–"),
    );
  });
  const head = h(
    "tr",
    {},
    h("th", { scope: "col" }, text("curves.trial")),
    heads,
    h("th", { scope: "col", class: "number" }, text("curves.best")),
  );
  return h(
    "div",
    { class: "curve-scroll", role: "region", tabindex: 0, "aria-label": text("curves.table.label", { tag: title }) },
    h("table", { class: "curve-values" }, h("thead", {}, head), h("tbody", {}, rows)),
  );
}
