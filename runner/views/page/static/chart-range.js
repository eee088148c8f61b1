// Ranges of a chart's axes, and which values lie at a place of the x axis.

import { visible } from "./chart-draw.js";

const NEARLY_EQUAL = 1e-6;

/**
 * Range of the values that are shown: of all lines and bands between x.low and x.high, with a margin. `trim` leaves out the lowest and
 * highest percent, so that a spike does not flatten the rest. A log axis takes the positive values only.
 */
export function valueRange(figure, x, { log = false, trim = false } = {}) {
  const [first, last] = visible(figure.xs, x);
  const values = [];
  const take = (ys, all = false) => {
    for (let index = all ? 0 : first; index <= (all ? ys.length - 1 : last); index++)
      if (log ? ys[index] > 0 : Number.isFinite(ys[index])) values.push(ys[index]);
  };
  for (const { ys, low, high, quiet } of figure.lines) for (const array of quiet ? [ys] : [ys, low, high]) if (array) take(array);
  figure.context.forEach(take);
  for (const { ys } of figure.ghosts) take(ys);
  for (const { marks } of figure.lines)
    take(
      marks.filter(({ kind, x: at }) => kind === "best" && at >= x.low && at <= x.high).map(({ y }) => y),
      true,
    );
  if (!values.length) return log ? { low: 0.1, high: 1, log } : { low: 0, high: 1, log };
  let [low, high] = trim && values.length > 50 ? trimmed(values) : extremes(values);
  if (log) {
    const margin = high > low ? (high / low) ** 0.05 : 2;
    return { low: low / margin, high: high * margin, log };
  }
  const same = high - low <= NEARLY_EQUAL * Math.max(Math.abs(low), Math.abs(high)); // but for the rounding of f32
  const margin = same ? Math.abs(high) * 0.1 || 1 : 0.05 * (high - low);
  return { low: low - margin, high: high + margin, log };
}

function trimmed(values) {
  const sorted = Float64Array.from(values).sort();
  return [sorted[Math.floor(0.01 * sorted.length)], sorted[Math.ceil(0.99 * sorted.length) - 1]];
}

function extremes(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** Indices at which some line has a value, in order. */
export function occupied(figure) {
  const indices = [];
  for (let index = 0; index < figure.xs.length; index++) {
    if (figure.lines.some(({ ys }) => !Number.isNaN(ys[index]))) indices.push(index);
  }
  return indices;
}

/** The item of a sorted list of indices whose x is nearest. */
export function nearestIndex(xs, indices, x) {
  let low = 0;
  let high = indices.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[indices[middle]] < x) low = middle;
    else high = middle;
  }
  return Math.abs(xs[indices[low]] - x) <= Math.abs(xs[indices[high]] - x) ? indices[low] : indices[high];
}

/**
 * Values of all lines at an index, highest first: of the nearest value of a line that has none there, unless the line has ended or not
 * begun.
 */
export function valuesAt(figure, index) {
  const found = [];
  for (const line of figure.lines) {
    const value = valueNear(line.ys, index);
    if (value !== null) found.push({ line, value });
  }
  return found.sort((a, b) => b.value - a.value);
}

function valueNear(ys, index) {
  if (!Number.isNaN(ys[index])) return ys[index];
  let left = index;
  while (left >= 0 && Number.isNaN(ys[left])) left--;
  let right = index;
  while (right < ys.length && Number.isNaN(ys[right])) right++;
  if (left < 0 || right >= ys.length) return null;
  return index - left <= right - index ? ys[left] : ys[right];
}
