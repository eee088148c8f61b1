// The metric against the time that a trial takes, with the line of those that nothing beats in both.
import { h } from "../dom.js";
import { pageTrial } from "../report.js";
import { tickLabels, ticks } from "../ticks.js";

const MOST_LABELS = 12;
const MOST_COLOURED = 24; // of more points, only the named ones have their colour
const EQUAL = 1.05; // ratio of times that the report calls equal

/** Points of the chart, {trial, x, y, std}, and those that no other beats. */
export function costPoints(page, { metric, goal, trials }) {
  const points = trials
    .filter((trial) => trial.baseline || page.trials.isVisible(pageTrial(page, trial)))
    .filter((trial) => trial.metrics[metric]?.n && trial.time_s.n && typeof trial.metrics[metric].mean === "number")
    .map((trial) => ({ trial, x: trial.time_s.mean, y: trial.metrics[metric].mean, std: trial.metrics[metric].std ?? 0 }));
  return { points, front: paretoFront(points, goal === "maximize" ? 1 : -1) };
}

/** The chart; a sentence where all take the same time, null where fewer than two trials have both numbers. `tools`: its menu. */
export function costChart(page, report, tools = null) {
  const { metric } = report;
  const { points, front } = costPoints(page, report);
  if (points.length < 2) return null;
  const times = points.map((point) => point.x);
  if (Math.max(...times) <= EQUAL * Math.min(...times)) {
    return h(
      "section",
      { class: "card" },
      h("h2", {}, page.text("cost.title", { metric })),
      h("p", {}, page.text("cost.equal", { time: Math.max(...times) })),
    );
  }
  const x = scale(0, Math.max(...times), 0.1);
  const y = scale(Math.min(...points.map((point) => point.y - point.std)), Math.max(...points.map((point) => point.y + point.std)), 0.1);
  const text = page.text("cost.summary", { n: points.length, metric, best: front.map((point) => point.trial.label) });
  const named = labelled(page, points, front);
  const names = labels(named, front, x, y);
  const coloured = new Set(points.length > MOST_COLOURED ? named : points);
  const svg = h(
    "svg",
    { role: "img", "aria-label": text },
    grid(page, x, y),
    stairs(front, x, y),
    points.map((point) => mark(page, metric, point, x, y, coloured.has(point))),
    names,
  );
  return h(
    "section",
    { class: "card cost" },
    h("header", { class: "card-head" }, h("h2", {}, page.text("cost.title", { metric })), tools),
    h("div", { class: "plane" }, svg),
    h("p", { class: "small muted" }, page.text("cost.reading")),
  );
}

/** Points that no other beats in time and metric, the fastest first. */
function paretoFront(points, sign) {
  const order = [...points].sort((a, b) => a.x - b.x || sign * (b.y - a.y));
  const front = [];
  for (const point of order) if (!front.length || sign * (point.y - front.at(-1).y) > 0) front.push(point);
  return front;
}

/** The points that get a name, the most important first. */
function labelled(page, points, front) {
  const pinned = new Set(page.state.list("pin"));
  const weight = (point) =>
    (point.trial.baseline ? 8 : 0) + (pinned.has(pageTrial(page, point.trial)) ? 4 : 0) + (front.includes(point) ? 2 : 0);
  return [...points].sort((a, b) => weight(b) - weight(a)).slice(0, MOST_LABELS);
}

/** Names beside points, each where it covers no point, no other name, and no line of `front`; one that fits nowhere is left out. */
function labels(points, front, x, y) {
  const size = { width: Math.min(innerWidth - 90, 720), height: 240 }; // about the size of the plane, in px
  const centre = (point) => ({ left: size.width * x.share(point.x), top: size.height * (1 - y.share(point.y)) });
  const taken = points.map((point) => {
    const { left, top } = centre(point);
    return { left: left - 6, right: left + 6, top: top - 6, bottom: top + 6 };
  });
  for (const [index, point] of front.entries()) {
    const { left, top } = centre(point);
    const next = index + 1 < front.length ? centre(front[index + 1]) : { left: size.width, top };
    const lines = [{ right: next.left, top }, { left: next.left, right: next.left, top: next.top + 10 }];
    taken.push(...lines.map((line) => ({ left: left + 10, bottom: top, ...line })));
  }
  return points.map((point) => {
    const { left, top } = centre(point);
    const text = point.trial.label.length > 28 ? `${point.trial.label.slice(0, 27)}…` : point.trial.label;
    for (const [side, shift] of [
      [1, -8],
      [-1, -8],
      [1, 18],
      [-1, 18],
    ]) {
      const [near, far] = [left + 8 * side, left + side * (8 + 7.5 * text.length)];
      const box = { left: Math.min(near, far), right: Math.max(near, far), top: top + shift - 12, bottom: top + shift + 4 };
      const free = taken.every(
        (other) => box.left > other.right || box.right < other.left || box.top > other.bottom || box.bottom < other.top,
      );
      if (!free || box.left < 0 || box.right > size.width) continue;
      taken.push(box);
      const place = { transform: `translate(${8 * side}px, ${shift}px)` };
      return h(
        "text",
        { class: "name", x: across(x, point.x), y: down(y, point.y), "text-anchor": side > 0 ? "start" : "end", style: place },
        text,
      );
    }
    return null;
  });
}

function scale(low, high, margin) {
  const room = margin * (high - low || Math.abs(high) || 1);
  const [from, to] = [low === 0 ? 0 : low - room, high + room];
  return { from, to, share: (value) => (value - from) / (to - from) };
}

const across = (x, value) => `${(100 * x.share(value)).toFixed(2)}%`;
const down = (y, value) => `${(100 * (1 - y.share(value))).toFixed(2)}%`;

function grid(page, x, y) {
  const rows = ticks(y.from, y.to, 4);
  const columns = ticks(x.from, x.to, 5, "time");
  const [rowLabels, columnLabels] = [tickLabels(rows, "number", false, page.language), columns.map(page.duration)];
  return [
    rows.map((value, index) => [
      h("line", { class: "grid", x1: "0", x2: "100%", y1: down(y, value), y2: down(y, value) }),
      h("text", { x: "-8", y: down(y, value), "text-anchor": "end", "dominant-baseline": "middle" }, rowLabels[index]),
    ]),
    h("line", { class: "axis", x1: "0", x2: "100%", y1: "100%", y2: "100%" }),
    columns.map((value, index) =>
      h(
        "text",
        { class: "below", x: across(x, value), y: "100%", "text-anchor": index === 0 && value === x.from ? "start" : "middle" },
        columnLabels[index],
      ),
    ),
  ];
}

function stairs(front, x, y) {
  const lines = [];
  for (const [index, point] of front.entries()) {
    const next = front[index + 1];
    const end = next ? across(x, next.x) : "100%";
    lines.push(h("line", { class: "front", x1: across(x, point.x), x2: end, y1: down(y, point.y), y2: down(y, point.y) }));
    if (next) lines.push(h("line", { class: "front", x1: end, x2: end, y1: down(y, point.y), y2: down(y, next.y) }));
  }
  return lines;
}

function mark(page, metric, point, x, y, coloured) {
  const { trial } = point;
  const color = coloured ? page.trials.color(pageTrial(page, trial)).css : "var(--faint)";
  const [px, py] = [across(x, point.x), down(y, point.y)];
  return [
    point.std && coloured
      ? h("line", { class: "spread", x1: px, x2: px, y1: down(y, point.y - point.std), y2: down(y, point.y + point.std), stroke: color })
      : null,
    h(
      "circle",
      { cx: px, cy: py, r: 5, fill: color, "data-hover": pageTrial(page, trial) },
      h("title", {}, `${trial.label}: ${page.summary(trial.metrics[metric])}, ${page.duration(point.x)}`),
    ),
  ];
}
