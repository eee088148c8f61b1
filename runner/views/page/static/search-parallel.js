// Parallel coordinates: an axis per key and one for the metric, a line per trial, brushes along the axes. Axes stand side by side, or, on a
// narrow screen, one below the other. See search-plot.js for what a figure is.
import { brushOf, readBrush } from "./search-brush.js";
import { lineAlpha } from "./search-figures.js";
import { clipped, textWidth } from "./search-plot.js";

const ROOM = 92; // px between two axes that stand
const ROW = 64; // px between two axes that lie
const REACH = 16;
const GRAB = 10;
const MOST_DASHED = 200; // lines; dashes of more take longer than a frame

export function parallelFigure(model) {
  const shown = new Set(model.rows.map(({ id }) => id));
  const rows = model.layered().filter(reaches);
  const hidden = model.all.filter((row) => !shown.has(row.id) && reaches(row));
  const value = model.valueAxis(model.all.filter((row) => row.y !== null));
  const axes = [...model.axes, value];
  const filter = model.page.state.get("f");
  const brushes = axes.map((axis) => readBrush(filter, axis));
  const shares = new Map([...rows, ...hidden].map((row) => [row.id, axes.map((axis, at) => share(row, axis, at, model.axes.length))]));
  const lies = ({ width }) => width < ROOM * axes.length;

  /** Position of a share on an axis. */
  const point = (size, at, part) => {
    if (lies(size)) return [16 + (size.width - 32) * part, 30 + ROW * at];
    const left = 40 + ((size.width - 80) * at) / Math.max(1, axes.length - 1);
    return [left, 36 + (size.height - 60) * (1 - part)];
  };
  const path = (pen, size, row) => {
    let begun = false;
    shares.get(row.id).forEach((part, at) => {
      if (part === null) return;
      const [x, y] = point(size, at, part);
      pen[begun ? "to" : "from"](x, y);
      begun = true;
    });
  };
  const drawLabels = (pen, size, look) =>
    axes.forEach((axis, at) => labelAxis(pen, axis, (part) => point(size, at, part), lies(size), look, size));
  const strokeAll = (pen, size, some, style) => {
    pen.begin();
    some.forEach((row) => path(pen, size, row));
    pen.stroke(style);
  };

  return {
    order: [...model.ranked.filter((row) => shown.has(row.id)), ...rows.filter((row) => !row.ranks)].map(({ id }) => id),
    height: (width) => (width < ROOM * axes.length ? 30 + ROW * axes.length : 340),
    draw(pen, size, look) {
      const done = (level) => rows.filter((row) => row.level === level && row.state === "done");
      const ended = (level) => rows.filter((row) => row.level === level && row.state !== "done");
      strokeAll(pen, size, hidden, { color: look.rule, width: 1, alpha: 0.5 });
      for (const [level, alpha] of [
        ["rest", 0.1],
        ["top", lineAlpha(rows.length)],
      ]) {
        strokeAll(pen, size, ended(level), { color: look.faint, width: 1, dash: rows.length > MOST_DASHED ? [] : [3, 3], alpha });
        strokeAll(pen, size, done(level), { color: look.muted, width: 1, alpha });
      }
      for (const row of rows) if (row.level === "named") strokeAll(pen, size, [row], lineStyle(row, row.color));
      axes.forEach((_, at) => drawAxis(pen, (part) => point(size, at, part), look));
      drawLabels(pen, size, look);
      brushes.forEach((brush, at) => brush && drawBrush(pen, axes[at], brush, (part) => point(size, at, part), lies(size), look));
    },
    focus(pen, size, look, id) {
      const row = model.byId.get(id);
      if (!shares.has(id)) return;
      strokeAll(pen, size, [row], { color: look.paper, width: 6, alpha: 0.8 });
      strokeAll(pen, size, [row], { ...lineStyle(row, model.page.trials.color(id).css), width: 3 });
      drawLabels(pen, size, look);
    },
    nearest(x, y, size) {
      let [found, least] = [null, REACH];
      for (const row of rows) {
        const distance = distanceTo(shares.get(row.id), (at, part) => point(size, at, part), x, y, lies(size));
        if (distance <= least) [found, least] = [row.id, distance];
      }
      return found;
    },
    grab(x, y, size) {
      const at = axes.findIndex((_, index) => {
        const [ax, ay] = point(size, index, 0);
        return Math.abs(lies(size) ? y - ay : x - ax) <= GRAB;
      });
      return at < 0 ? null : axes[at];
    },
    dragged(axis, x, y, size) {
      const at = axes.indexOf(axis);
      const [from, to] = [point(size, at, 0), point(size, at, 1)];
      return Math.min(1.02, Math.max(-0.02, lies(size) ? (x - from[0]) / (to[0] - from[0]) : (y - from[1]) / (to[1] - from[1])));
    },
    drag(pen, size, look, { axis, from, to }) {
      const at = axes.indexOf(axis);
      drawRange(pen, [point(size, at, from), point(size, at, to)], lies(size), look);
    },
    axes,
    brushOf,
  };
}

/** Whether a trial has a place on some axis. */
function reaches(row) {
  return row.places.some((place) => place !== null);
}

function share(row, axis, at, keys) {
  const place = at < keys ? row.places[at] : (row.y ?? row.newest?.[1] ?? null);
  return place === null || place === undefined ? null : Math.min(1, Math.max(0, axis.share(place)));
}

function lineStyle(row, color) {
  return { color, width: row.pinned ? 2.5 : 1.5, dash: row.state === "done" ? [] : [4, 3], alpha: 1 };
}

/** Distance between a place and a line, measured along the axes. */
function distanceTo(parts, point, x, y, lies) {
  const along = lies ? 1 : 0; // index of the coordinate that goes from axis to axis
  let before = null;
  for (let at = 0; at < parts.length; at++) {
    if (parts[at] === null) continue;
    const here = point(at, parts[at]);
    const [pointer, across] = lies ? [y, x] : [x, y];
    if (before && pointer >= before[along] && pointer <= here[along]) {
      const part = (pointer - before[along]) / (here[along] - before[along] || 1);
      return Math.abs(before[1 - along] + part * (here[1 - along] - before[1 - along]) - across);
    }
    before = here;
  }
  return Infinity;
}

function drawAxis(pen, point, look) {
  pen.begin();
  pen.from(...point(0));
  pen.to(...point(1));
  pen.stroke({ color: look.edge, width: 1, alpha: 1 });
}

/** Title and marks of an axis, on a ground that covers the lines below them. */
function labelAxis(pen, axis, point, lies, look, { width }) {
  const [start, end] = [point(0), point(1)];
  const title = clipped(axis.short, lies ? width - 32 : ROOM - 8);
  if (lies) {
    halo(pen, start[0] - 2, start[1] - 14, title, look, 13);
    pen.text(start[0], start[1] - 14, title, { color: look.ink, bold: true });
  } else pen.text(clear(start[0], textWidth(title) * 1.06, width), 12, title, { color: look.ink, align: "center", bold: true });
  const ticks = axis.ticks(lies ? 4 : 6);
  const room = lies ? (end[0] - start[0]) / Math.max(1, ticks.length) : ROOM - 24;
  let last = -Infinity;
  for (const { place, label } of ticks) {
    const [x, y] = point(axis.share(place));
    const text = clipped(label, room - 6);
    if (lies) {
      const middle = clear(x, textWidth(text), width);
      if (middle - textWidth(text) / 2 < last + 4) continue;
      last = middle + textWidth(text) / 2;
      halo(pen, middle - textWidth(text, 11) / 2 - 1, y + 11, text, look);
      pen.text(middle, y + 11, text, { color: look.muted, align: "center", size: 11 });
    } else {
      halo(pen, x + 4, y, text, look);
      pen.text(x + 5, y, text, { color: look.muted, size: 11 });
    }
  }
}

/** The middle of a text that stays on the canvas. */
function clear(middle, wide, width) {
  return Math.min(width - wide / 2 - 2, Math.max(wide / 2 + 2, middle));
}

/** A ground on which a label can be read above lines. */
function halo(pen, x, y, text, look, size = 11) {
  const wide = textWidth(text, size) + 3;
  pen.begin();
  [
    [x, y - 7],
    [x + wide, y - 7],
    [x + wide, y + 7],
    [x, y + 7],
  ].forEach(([px, py], index) => pen[index ? "to" : "from"](px, py));
  pen.close();
  pen.fill({ color: look.paper, alpha: 1 });
}

function drawBrush(pen, axis, { low, high, chosen }, point, lies, look) {
  const half = chosen ? 0.4 / axis.choices.length : 0;
  const ranges = chosen
    ? chosen.map((index) => [axis.share(index) - half, axis.share(index) + half])
    : [[axis.share(low), axis.share(high)]];
  for (const [from, to] of ranges) drawRange(pen, [point(from), point(to)], lies, look);
}

function drawRange(pen, [[x1, y1], [x2, y2]], lies, look) {
  const [dx, dy] = lies ? [0, 7] : [7, 0];
  pen.begin();
  [
    [x1 - dx, y1 - dy],
    [x2 - dx, y2 - dy],
    [x2 + dx, y2 + dy],
    [x1 + dx, y1 + dy],
  ].forEach(([x, y], index) => pen[index ? "to" : "from"](x, y));
  pen.close();
  pen.fill({ color: look.accent, alpha: 0.22 });
  pen.stroke({ color: look.accent, width: 1.5, alpha: 1 });
}
