// Exports of a chart: SVG and PNG with title, axis titles and legend; its values as a table, and as one for pgfplots.

import { SvgPen, drawContext, drawLines } from "./chart-draw.js";
import { commentLine } from "./csv.js";
import { h } from "./dom.js";
import { tickLabels, ticks } from "./ticks.js";

const SIZE = { width: 960, height: 420, left: 72, right: 24, top: 44, bottom: 56 };
const LEGEND_ROW = 20;
const EDGES = { minmax: ["min", "max"], std: ["mean - std", "mean + std"], interval: ["95 % low", "95 % high"] }; // of a line's band

/** A text as XML: what XML cannot contain is replaced. */
export function xmlText(text) {
  const legal = String(text)
    .toWellFormed()
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "�");
  return legal.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/**
 * The chart as an SVG document.
 *
 * @param {object} figure see chart-draw.js
 * @param {{x: object, y: object, kind: string, lang: string}} ranges of the axes, as they are shown
 * @param {{ink: string, muted: string, rule: string, paper: string}} look colours
 * @param {{title: string, x: string, y: string, summary: string}} texts
 */
export function svgDocument(figure, ranges, look, texts) {
  const legend = legendRows(figure.lines);
  const plot = { left: SIZE.left, top: SIZE.top, width: SIZE.width - SIZE.left - SIZE.right, height: SIZE.height - SIZE.top - SIZE.bottom };
  const scale = { x: ranges.x, y: ranges.y, ...plot };
  const pen = new SvgPen();
  const contextPen = new SvgPen();
  if (figure.context.length) drawContext(contextPen, figure, scale, look.muted);
  drawLines(pen, figure, scale, look.paper);
  const height = SIZE.height + legend.length * LEGEND_ROW + 8;
  const bottom = plot.top + plot.height;
  const text = (x, y, content, more = "") => `<text x="${x}" y="${y}" fill="${look.ink}" ${more}>${xmlText(content)}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${SIZE.width}" height="${height}" viewBox="0 0 ${SIZE.width} ${height}"` +
      ` font-family="system-ui, sans-serif" font-size="13">`,
    `<title>${xmlText(texts.title)}</title><desc>${xmlText(texts.summary)}</desc>`,
    `<rect width="100%" height="100%" fill="${look.paper}"/>`,
    text(plot.left, 26, texts.title, 'font-size="16" font-weight="600"'),
    `<clipPath id="plot"><rect x="${plot.left}" y="${plot.top}" width="${plot.width}" height="${plot.height}"/></clipPath>`,
    ...axisParts(scale, ranges, look),
    `<g clip-path="url(#plot)">`,
    ...contextPen.parts,
    ...pen.parts,
    "</g>",
    text(plot.left + plot.width / 2, bottom + 44, texts.x, 'text-anchor="middle"'),
    text(18, plot.top + plot.height / 2, texts.y, `text-anchor="middle" transform="rotate(-90 18 ${plot.top + plot.height / 2})"`),
    ...legend.flatMap((row, index) => row.map(({ line, x }) => legendEntry(line, x, SIZE.height + index * LEGEND_ROW + 4, text))),
    "</svg>",
  ].join("\n");
}

function axisParts(scale, { kind, lang }, look) {
  const parts = [];
  const bottom = scale.top + scale.height;
  const at = ({ low, high, log }, value) => (log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
  const xs = ticks(scale.x.low, scale.x.high, 9, kind, scale.x.log);
  tickLabels(xs, kind, scale.x.log, lang).forEach((label, index) => {
    const x = (scale.left + at(scale.x, xs[index]) * scale.width).toFixed(1);
    parts.push(`<line x1="${x}" x2="${x}" y1="${scale.top}" y2="${bottom}" stroke="${look.rule}"/>`);
    label
      .split("\n")
      .forEach((line, row) =>
        parts.push(
          `<text x="${x}" y="${bottom + 16 + 13 * row}" fill="${look.muted}" text-anchor="middle" font-size="12">${xmlText(line)}</text>`,
        ),
      );
  });
  const ys = ticks(scale.y.low, scale.y.high, 7, "number", scale.y.log);
  tickLabels(ys, "number", scale.y.log, lang).forEach((label, index) => {
    const y = (bottom - at(scale.y, ys[index]) * scale.height).toFixed(1);
    parts.push(`<line x1="${scale.left}" x2="${scale.left + scale.width}" y1="${y}" y2="${y}" stroke="${look.rule}"/>`);
    parts.push(
      `<text x="${scale.left - 6}" y="${y}" fill="${look.muted}" text-anchor="end" dominant-baseline="middle" font-size="12">` +
        `${xmlText(label)}</text>`,
    );
  });
  return parts;
}

/** Lines in rows that fit the width, by an estimate of their names' widths. */
function legendRows(lines) {
  const rows = [];
  let x = Infinity;
  for (const line of lines) {
    const width = 44 + [...line.name].reduce((sum, letter) => sum + (letter.codePointAt(0) > 0x2e7f ? 13 : 7.2), 0);
    if (x + width > SIZE.width - SIZE.right) {
      rows.push([]);
      x = SIZE.left;
    }
    rows.at(-1).push({ line, x });
    x += width;
  }
  return rows;
}

function legendEntry(line, x, y, text) {
  const dashes = line.dash.length ? ` stroke-dasharray="${line.dash.join(" ")}"` : "";
  const sample = `<line x1="${x}" x2="${x + 22}" y1="${y}" y2="${y}" stroke="${line.color}" stroke-width="${line.width}"${dashes}/>`;
  return sample + text(x + 28, y + 4, line.name);
}

/** An SVG document as PNG, with `ratio` pixels per unit. Resolves to a Blob. */
export async function pngBlob(svg, ratio = 2) {
  const address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  try {
    const image = h("img", { src: address });
    await image.decode();
    const canvas = new OffscreenCanvas(image.width * ratio, image.height * ratio);
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return await canvas.convertToBlob({ type: "image/png" });
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** A number as the shortest one that means the same f32, or with so many significant digits. */
function shortNumber(value, digits) {
  if (!Number.isFinite(value)) return value;
  if (digits !== null) return Number(value.toPrecision(digits));
  for (let count = 1; count < 9; count++) {
    const short = Number(value.toPrecision(count));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

/** What is shown as a table: one row per x, and per line its value and the ends of its band, with so many `digits` (see shortNumber). */
export function csvTable(figure, xName, digits) {
  const columns = figure.lines.flatMap(({ name, ys, low, high, edges }) => [
    [name, ys],
    ...(low && high
      ? [
          [`${name} (${EDGES[edges][0]})`, low],
          [`${name} (${EDGES[edges][1]})`, high],
        ]
      : []),
  ]);
  const rows = [];
  figure.xs.forEach((x, index) => {
    if (columns.some(([, values]) => !Number.isNaN(values[index])))
      rows.push([shortNumber(x, null), ...columns.map(([, values]) => shortNumber(values[index], digits))]);
  });
  return { head: [xName, ...columns.map(([name]) => name)], rows };
}

/** The same for pgfplots: names of letters, digits and underscores, nan for what is missing, `notes` and the full names in comments. */
export function pgfplotsTable(figure, xName, digits, notes) {
  const taken = new Set();
  const columnName = (text) => {
    const plain =
      text
        .normalize("NFKD")
        .replace(/[^A-Za-z0-9]+/g, "_")
        .replace(/^_+|_+$/g, "") || "line";
    let name = plain;
    for (let number = 2; taken.has(name); number++) name = `${plain}_${number}`;
    taken.add(name);
    return name;
  };
  const x = columnName(xName);
  const columns = figure.lines.map((line) => ({ line, name: columnName(line.name) }));
  const head = columns.flatMap(({ line, name }) => (line.low && line.high ? [name, `${name}_low`, `${name}_high`] : [name]));
  const meaning = ({ name, low, high, edges }) => (low && high ? `${name} (_low: ${EDGES[edges][0]}, _high: ${EDGES[edges][1]})` : name);
  const named = columns.map(({ line, name }) => `${name}: ${meaning(line)}`);
  const { rows } = csvTable(figure, xName, digits);
  const cells = (row) => row.map((value) => (Number.isNaN(value) ? "nan" : String(value))).join(",");
  return `${[...[...notes, ...named].map(commentLine), [x, ...head].join(","), ...rows.map(cells)].join("\n")}\n`;
}
