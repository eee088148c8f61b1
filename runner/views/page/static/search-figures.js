// The figures of the Search tab that have two axes: history, slices, Pareto front, curves of pruned trials. See search-plot.js for what a
// figure is.
import { axisAround, numberAxis } from "./search-axes.js";
import { clipped, textWidth } from "./search-plot.js";

const REACH = 24; // px between the pointer and the trial it means
const [TOP, BOTTOM] = [24, 44]; // px for the titles of the axes
const LEAST_CLOCK = 4; // seconds between two times that are labelled as a clock
const SCATTER = 0.5; // part of a choice's width over which its trials are spread

/**
 * A figure of marks {id, x, y, row}: `y` null stands on the lower edge. `parts` may have under(pen, to, look), the lines below the marks,
 * and lines: id → [[x, y], …].
 */
function plane({ model, x, y, marks, parts = {}, height = 260, titles, order }) {
  const box = ({ width, height: whole }) => {
    const tall = whole - TOP - BOTTOM;
    const labels = y.ticks(rowsIn(tall)).map(({ label }) => label);
    const left = Math.min(120, 12 + Math.max(20, ...labels.map((label) => textWidth(label))));
    return { left, top: TOP, width: Math.max(20, width - left - 16), height: tall };
  };
  const placer = (size) => {
    const { left, top, width, height: tall } = box(size);
    return {
      x: (value) => left + width * x.share(value),
      y: (value) => top + tall * (1 - y.share(value)),
      left,
      top,
      right: left + width,
      bottom: top + tall,
    };
  };
  const at = (mark, to) => {
    const shift =
      x.choices.length && mark.spread !== undefined ? (mark.spread - 0.5) * SCATTER * ((to.right - to.left) / x.choices.length) : 0;
    return [to.x(mark.x) + shift, mark.y === null ? to.bottom - 6 : to.y(mark.y)];
  };
  return {
    order: order ?? [...marks].sort((a, b) => a.x - b.x).map(({ id }) => id),
    height: () => height,
    draw(pen, size, look) {
      const to = placer(size);
      drawAxes(pen, x, y, to, look, titles);
      parts.under?.(pen, to, look);
      drawMarks(pen, marks, (mark) => at(mark, to), look, model);
      parts.over?.(pen, to, look);
    },
    focus(pen, size, look, id) {
      const to = placer(size);
      const line = parts.line?.(id);
      const color = model.page.trials.color(id).css;
      if (line) trace(pen, line, to, { color, width: 2.5, alpha: 1 });
      for (const mark of marks) {
        if (mark.id !== id) continue;
        const [px, py] = at(mark, to);
        pen.begin();
        pen.disc(px, py, 8);
        pen.stroke({ color: look.ink, width: 1.5, alpha: 1 });
        drawMark(pen, mark, px, py, color, look, 1, 6);
      }
    },
    nearest(px, py, size) {
      const to = placer(size);
      let [found, least] = [null, REACH];
      for (const mark of marks) {
        const [mx, my] = at(mark, to);
        const distance = Math.hypot(mx - px, my - py);
        if (distance <= least) [found, least] = [mark.id, distance];
      }
      return found;
    },
  };
}

const rowsIn = (height) => Math.max(2, Math.floor(height / 32));

function drawAxes(pen, x, y, to, look, titles) {
  const lines = (style, f) => {
    pen.begin();
    f();
    pen.stroke(style);
  };
  const rows = y.ticks(rowsIn(to.bottom - to.top));
  lines({ color: look.rule, width: 1, alpha: 1 }, () =>
    rows.forEach(({ place }) => segment(pen, to.left, to.y(place), to.right, to.y(place))),
  );
  for (const { place, label } of rows) pen.text(to.left - 6, to.y(place), label, { color: look.muted, align: "right" });
  const columns = x.ticks(Math.max(2, Math.floor((to.right - to.left) / 72)));
  const room = x.choices.length ? (to.right - to.left) / columns.length : Infinity;
  lines({ color: look.edge, width: 1, alpha: 1 }, () => {
    segment(pen, to.left, to.bottom, to.right, to.bottom);
    columns.forEach(({ place }) => segment(pen, to.x(place), to.bottom, to.x(place), to.bottom + 4));
  });
  let end = -Infinity;
  for (const { place, label } of columns) {
    const text = clipped(label, room - 4);
    const half = textWidth(text) / 2;
    if (to.x(place) - half < end + 4) continue; // it would cover the one before it
    end = to.x(place) + half;
    pen.text(to.x(place), to.bottom + 14, text, { color: look.muted, align: "center" });
  }
  pen.text((to.left + to.right) / 2, to.bottom + 34, clipped(titles.x, to.right - to.left), { color: look.ink, align: "center" });
  pen.text(2, 10, clipped(titles.y, to.right), { color: look.ink });
}

const segment = (pen, x1, y1, x2, y2) => {
  pen.from(x1, y1);
  pen.to(x2, y2);
};

function trace(pen, line, to, style) {
  pen.begin();
  line.forEach(([x, y], index) => pen[index ? "to" : "from"](to.x(x), to.y(y)));
  pen.stroke(style);
}

/** Draw marks, those of one look in one path: thousands are as quick as one. */
function drawMarks(pen, marks, at, look, model) {
  const faint = new Map();
  for (const mark of marks) {
    const { row } = mark;
    if (row.level === "named") continue;
    const key = `${row.level} ${shape(row)}`;
    if (!faint.has(key)) faint.set(key, []);
    faint.get(key).push(mark);
  }
  for (const key of [...faint.keys()].sort()) {
    const [level] = key.split(" ");
    const style = level === "top" ? { color: look.muted, alpha: 0.75 } : { color: look.faint, alpha: 0.3 };
    drawShapes(pen, faint.get(key), at, style.color, look, style.alpha, model.few ? 4.5 : 3);
  }
  for (const mark of marks) {
    if (mark.row.level !== "named") continue;
    const [x, y] = at(mark);
    drawMark(pen, mark, x, y, mark.row.color, look, 1, mark.row.pinned ? 6 : 4.5);
    if (!mark.row.pinned) continue;
    pen.begin();
    pen.disc(x, y, 9);
    pen.stroke({ color: mark.row.color, width: 1.5, alpha: 1 });
  }
}

/** How a trial is drawn: ● finished, □ breaks a constraint, ○ pruned, ✕ failed, △ not finished. */
export function shape(row) {
  if (row.violated.length) return "square";
  return { done: "disc", pruned: "ring", failed: "cross", infeasible: "cross" }[row.state] ?? "open";
}

function drawMark(pen, mark, x, y, color, look, alpha, radius) {
  drawShapes(pen, [mark], () => [x, y], color, look, alpha, radius);
}

function drawShapes(pen, marks, at, color, look, alpha, radius) {
  const kind = shape(marks[0].row);
  pen.begin();
  for (const mark of marks) {
    const [x, y] = at(mark);
    if (kind === "disc" || kind === "ring") pen.disc(x, y, radius);
    else if (kind === "cross") {
      segment(pen, x - radius, y - radius, x + radius, y + radius);
      segment(pen, x - radius, y + radius, x + radius, y - radius);
    } else {
      const corners =
        kind === "square"
          ? [
              [-1, -1],
              [1, -1],
              [1, 1],
              [-1, 1],
            ]
          : [
              [0, -1.2],
              [1.1, 0.8],
              [-1.1, 0.8],
            ];
      corners.forEach(([dx, dy], index) => pen[index ? "to" : "from"](x + dx * radius, y + dy * radius));
      pen.close();
    }
  }
  if (kind === "disc") return pen.fill({ color, alpha });
  if (kind !== "cross") pen.fill({ color: look.paper, alpha: 0.6 });
  pen.stroke({ color, width: 1.5, alpha });
}

/** The value of a trial by the order in which they were tried, with the best so far. */
export function historyFigure(model) {
  const rows = model.layered();
  const marks = rows.map((row) => ({ id: row.id, row, x: row.number, y: row.y ?? row.newest?.[1] ?? null }));
  const y = model.valueAxis(rows);
  const last = Math.max(1, ...model.all.map((row) => row.number));
  const x = numberAxis(-0.02 * last, 1.02 * last, model.page.language);
  const best = model.explored.history[model.tag] ?? [];
  const stairs = best.flatMap(([number, value], index) => [
    [number, value],
    [best[index + 1]?.[0] ?? last, value],
  ]);
  const under = (pen, to, look) => trace(clamp(pen, to), stairs, to, { color: look.ink, width: 1.5, alpha: 1 });
  return plane({ model, x, y, marks, parts: { under }, titles: { x: model.page.text("search.number"), y: model.tag } });
}

/** A pen whose lines stop at the upper and the lower edge, and are not drawn beyond. */
function clamp(pen, { top, bottom }) {
  const inside = (y) => Math.min(bottom, Math.max(top, y));
  let before = null;
  return {
    begin: () => pen.begin(),
    from: (x, y) => (before = [x, y]),
    to(x, y) {
      const [x1, y1] = before;
      before = [x, y];
      if (Math.min(y, y1) > bottom || Math.max(y, y1) < top) return;
      pen.from(x1, inside(y1));
      pen.to(x, inside(y));
    },
    stroke: (style) => pen.stroke(style),
  };
}

/** The metric along one key; `y` is the axis of the metric. */
export function sliceFigure(model, at, y) {
  const axis = model.axes[at];
  const { explored } = model;
  const only = model.kind === "one_at_a_time" ? new Set(explored.alone[axis.key] ?? []) : null;
  const rows = model.layered().filter((row) => row.places[at] !== null && row.places[at] !== undefined && (!only || only.has(row.id)));
  const marks = rows.map((row) => ({
    id: row.id,
    row,
    x: row.places[at],
    y: row.y,
    spread: only ? undefined : (row.number * 0.618034) % 1,
  }));
  const x = axis.choices.length ? axis : { ...axis, share: (place) => 0.05 + 0.9 * axis.share(place) };
  const found = explored.slices.find((each) => each.metric === model.tag && each.key === axis.key);
  const under = (pen, to, look) => (only ? drawSeeds(pen, rows, at, axis, to, look) : drawRanges(pen, found, axis, to, look));
  return plane({ model, x, y, marks, parts: { under }, height: 224, titles: { x: axis.short, y: model.tag } });
}

/** The band of mean ± std and the seeds of trials that differ in one key. */
function drawSeeds(pen, rows, at, axis, to, look) {
  const sorted = rows.filter((row) => row.y !== null).sort((a, b) => a.places[at] - b.places[at]);
  const spread = (row) => row.numbers.std ?? 0;
  if (!axis.choices.length && sorted.length > 1) {
    pen.begin();
    sorted.forEach((row, index) => pen[index ? "to" : "from"](to.x(row.places[at]), to.y(row.y + spread(row))));
    [...sorted].reverse().forEach((row) => pen.to(to.x(row.places[at]), to.y(row.y - spread(row))));
    pen.close();
    pen.fill({ color: look.band, alpha: 1 });
    trace(
      pen,
      sorted.map((row) => [row.places[at], row.y]),
      to,
      { color: look.muted, width: 1.5, alpha: 1 },
    );
  } else {
    pen.begin();
    for (const row of sorted)
      segment(pen, to.x(row.places[at]), to.y(row.y - spread(row)), to.x(row.places[at]), to.y(row.y + spread(row)));
    pen.stroke({ color: look.faint, width: 6, alpha: 0.35 });
  }
  pen.begin();
  for (const row of sorted) for (const value of row.seeds) pen.disc(to.x(row.places[at]), to.y(value), 2);
  pen.fill({ color: look.muted, alpha: 1 });
}

/** Means by value, or medians of ranges. */
function drawRanges(pen, found, axis, to, look) {
  if (!found) return;
  const half = axis.choices.length ? (0.35 * (to.right - to.left)) / axis.choices.length : 6;
  const inside = clamp(pen, to);
  inside.begin();
  for (const { low, high, value } of found.ranges) {
    inside.from(to.x(low) - (high > low ? 0 : half), to.y(value));
    inside.to(to.x(high) + (high > low ? 0 : half), to.y(value));
  }
  inside.stroke({ color: look.ink, width: 2, alpha: 0.8 });
  if (found.statistic === "mean" && !axis.choices.length)
    trace(
      inside,
      found.ranges.map(({ low, value }) => [low, value]),
      to,
      { color: look.ink, width: 1, alpha: 0.5 },
    );
}

/** The metric against a cost, with the trials that no other beats in both. */
export function paretoFigure(model, front, index) {
  const cost = (row) => (index >= 0 ? row.costs[index] : row.metrics[front.cost]?.mean) ?? null;
  const rows = model.layered().filter((row) => row.y !== null && cost(row) !== null);
  const marks = rows.map((row) => ({ id: row.id, row, x: cost(row), y: row.y }));
  const y = model.valueAxis(rows);
  const spent = marks.map((mark) => mark.x);
  const clock = front.cost === "time_s" && Math.max(...spent) - Math.min(...spent) > LEAST_CLOCK;
  const x = axisAround(spent, model.page.language, { kind: clock ? "time" : "number" });
  const order = front.front
    .filter((id) => model.byId.has(id))
    .map((id) => model.byId.get(id))
    .sort((a, b) => cost(a) - cost(b));
  const edge = front.goal === "maximize" ? -1 : 1; // the side on which a trial of the front is beaten by none
  const line = order.flatMap((row, place) => {
    const next = order[place + edge];
    return edge > 0
      ? [[cost(row), row.y], ...(next ? [[cost(next), row.y]] : [])]
      : [...(next ? [[cost(next), row.y]] : []), [cost(row), row.y]];
  });
  const under = (pen, to, look) => trace(clamp(pen, to), line, to, { color: look.muted, width: 1.5, dash: [3, 3], alpha: 1 });
  const over = (pen, to, look) => {
    for (const row of order.slice(-12))
      if (row.visible) pen.text(to.x(cost(row)) + 8, to.y(row.y) - 8, String(row.number), { color: look.ink });
  };
  return plane({
    model,
    x,
    y,
    marks,
    parts: { under, over },
    titles: { x: clock || index ? model.costName(front.cost) : `${model.costName(front.cost)}, s`, y: model.tag },
  });
}

/** Learning curves, those of pruned trials up to where they ended. */
export function curvesFigure(model) {
  const { curves, rungs } = model.explored;
  const rows = model.layered().filter((row) => curves.values[row.id]);
  const lines = new Map(rows.map((row) => [row.id, curveOf(curves, row)]));
  const marks = rows
    .filter((row) => lines.get(row.id).length)
    .map((row) => {
      const [x, y] = lines.get(row.id).at(-1);
      return { id: row.id, row, x, y };
    });
  const values = rows.flatMap((row) => lines.get(row.id).map(([, value]) => value));
  const last = Math.max(1, ...curves.steps);
  const axes = { x: numberAxis(0, 1.02 * last, model.page.language), y: axisAround(values, model.page.language) };
  const under = (pen, to, look) => {
    pen.begin();
    for (const { step } of rungs) segment(pen, to.x(step), to.top, to.x(step), to.bottom);
    pen.stroke({ color: look.edge, width: 1, dash: [2, 4], alpha: 1 });
    for (const level of ["rest", "top"]) {
      pen.begin();
      for (const row of rows)
        if (row.level === level) lines.get(row.id).forEach(([x, y], index) => pen[index ? "to" : "from"](to.x(x), to.y(y)));
      pen.stroke({ color: look.muted, width: 1, alpha: level === "top" ? lineAlpha(rows.length) : 0.1 });
    }
    for (const row of rows)
      if (row.level === "named") trace(pen, lines.get(row.id), to, { color: row.color, width: row.pinned ? 2.5 : 1.5, alpha: 1 });
  };
  const parts = { under, line: (id) => lines.get(id) };
  return plane({ model, ...axes, marks, parts, titles: { x: model.page.text("curves.x.step"), y: curves.metric } });
}

/** How strong grey lines are: the more, the weaker. */
export function lineAlpha(count) {
  return Math.max(0.12, Math.min(0.7, 20 / count));
}

function curveOf(curves, row) {
  const points = curves.steps.flatMap((step, index) =>
    curves.values[row.id][index] === null ? [] : [[step, curves.values[row.id][index]]],
  );
  if (row.newest && row.newest[0] > (points.at(-1)?.[0] ?? 0)) points.push(row.newest);
  return points;
}
