// Axes of the Search tab: from a value of a key, or a metric, to a place from 0 to 1, and the ticks. Pure functions.
import { showValue } from "./format.js";
import { tickLabels, ticks } from "./ticks.js";

const FEW = 6; // values that all have a tick

/** The axis of a key, as the part `search` has it: a place on it is a number or the index of a choice. */
export function keyAxis(key, language) {
  if (key.choices.length) {
    const label = (place) => key.choices[Math.round(place)] ?? "";
    const marks = key.choices.map((text, place) => ({ place, label: text }));
    return {
      ...key,
      share: (place) => (place + 0.5) / key.choices.length,
      place: (share) => share * key.choices.length - 0.5,
      label,
      ticks: () => marks,
    };
  }
  const listed = key.values.length > 0 && key.values.length <= FEW;
  const marks = key.values.map((place) => ({ place, label: showValue(place) }));
  return { ...numberAxis(key.low ?? 0, key.high ?? 1, language, key), ...key, ...(listed ? { ticks: () => marks } : {}) };
}

/** An axis of numbers. `log` where they are all positive; `kind` is that of ticks.js. */
export function numberAxis(low, high, language, { log = false, kind = "number" } = {}) {
  const scale = log ? Math.log : (value) => value;
  const [from, to] = [scale(low), scale(high)];
  const even = !(to > from);
  return {
    low,
    high,
    log,
    choices: [],
    values: [],
    share: (value) => (even ? 0.5 : (scale(value) - from) / (to - from)),
    place: (share) => (log ? Math.exp(from + share * (to - from)) : from + share * (to - from)),
    label: (value) => showValue(Number(value.toPrecision(4))),
    ticks: (count) => {
      const places = ticks(low, high, count, kind, log).filter((place) => place >= low && place <= high);
      const labels = tickLabels(places, kind, log, language);
      return places.map((place, index) => ({ place, label: labels[index] }));
    },
  };
}

/** An axis around some numbers, with room at both ends. */
export function axisAround(numbers, language, { room = 0.06, ...options } = {}) {
  const [low, high] = numbers.length ? [Math.min(...numbers), Math.max(...numbers)] : [0, 1];
  const margin = room * (high - low || Math.abs(high) || 1);
  return numberAxis(low - margin, high + margin, language, options);
}
