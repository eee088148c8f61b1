// Swatches: a short piece of a trial's line, beside its name.
import { h } from "./dom.js";

/** The swatch of a trial's colour (see trials.js `color`). */
export function trialSwatch({ css, dash }) {
  return lineSwatch("swatch", 20, 12, { color: css, dash, width: 3 });
}

/** The swatch of a line of a chart, as it is drawn there. */
export function curveSwatch(line) {
  return lineSwatch("curve-swatch", 18, 10, line);
}

function lineSwatch(name, width, height, line) {
  const attributes = {
    x1: 0,
    x2: width,
    y1: height / 2,
    y2: height / 2,
    stroke: line.color,
    "stroke-width": line.width,
    "stroke-dasharray": line.dash.join(" ") || null,
  };
  return h("svg", { class: name, width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, h("line", attributes));
}
