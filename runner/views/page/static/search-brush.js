// Brushes of the Search tab as terms of the filter: `key>=1e-3 key<=0.01`, `key=adam`, `-key=sgd -key=lion`. Pure functions.
import { writtenTerms } from "./filter.js";

const DIGITS = 3;

/** The brush of an axis that a filter holds: {low, high}, {chosen: indices}, or null. It counts where every alternative has it. */
export function readBrush(filter, axis) {
  const alternatives = writtenTerms(filter).map((terms) =>
    terms
      .filter((term) => isOf(term, axis))
      .sort()
      .join(" "),
  );
  if (!alternatives.length || !alternatives[0] || alternatives.some((each) => each !== alternatives[0])) return null;
  const terms = writtenTerms(filter)[0].filter((term) => isOf(term, axis));
  if (axis.choices.length) {
    const chosen = axis.choices.map((_, index) => index).filter((index) => !terms.some((term) => excludes(term, axis, index)));
    return { chosen };
  }
  const number = (operator) =>
    terms.filter((term) => term.startsWith(axis.key + operator)).map((term) => Number(term.slice(axis.key.length + 2)));
  return { low: Math.max(axis.low, ...number(">=")), high: Math.min(axis.high, ...number("<=")) };
}

/** A filter with another brush on an axis; null takes it away. */
export function writeBrush(filter, axis, brush) {
  const terms = brush ? brushTerms(axis, brush) : [];
  const alternatives = writtenTerms(filter);
  const kept = (alternatives.length ? alternatives : [[]]).map((each) => [...each.filter((term) => !isOf(term, axis)), ...terms]);
  return kept.some((each) => !each.length) ? "" : kept.map((each) => each.join(" ")).join(" or ");
}

/** Replace the term that begins so in every alternative; an empty one takes it away. */
export function replaceTerm(filter, beginning, term) {
  const alternatives = writtenTerms(filter);
  const kept = (alternatives.length ? alternatives : [[]]).map((each) => [
    ...each.filter((one) => !one.startsWith(beginning)),
    ...(term ? [term] : []),
  ]);
  return kept.some((each) => !each.length) ? "" : kept.map((each) => each.join(" ")).join(" or ");
}

function brushTerms(axis, { low, high, chosen }) {
  if (!chosen) {
    const number = (value) => String(axis.values.includes(value) ? value : Number(value.toPrecision(DIGITS)));
    return [...(low > axis.low ? [`${axis.key}>=${number(low)}`] : []), ...(high < axis.high ? [`${axis.key}<=${number(high)}`] : [])];
  }
  if (chosen.length === axis.choices.length || !chosen.length) return [];
  if (chosen.length === 1) return [equals(axis, chosen[0])];
  return axis.choices.flatMap((_, index) => (chosen.includes(index) ? [] : [`-${equals(axis, index)}`]));
}

/** Whether a choice can be written in a filter. */
export function isWritable(axis, index) {
  return !axis.choices[index].includes('"');
}

function equals(axis, index) {
  const text = axis.choices[index];
  return `${axis.key}=${/\s/.test(text) ? `"${text}"` : text}`;
}

function isOf(term, axis) {
  const bare = term.replace(/^-/, "");
  return axis.choices.length
    ? axis.choices.some((_, index) => bare === equals(axis, index))
    : bare.startsWith(`${axis.key}>=`) || bare.startsWith(`${axis.key}<=`);
}

function excludes(term, axis, index) {
  return term.startsWith("-") ? term.slice(1) === equals(axis, index) : term !== equals(axis, index);
}

/**
 * A dragged range of shares as a brush: of choices those whose middle it covers, of listed numbers the outer ones it covers. Null where it
 * covers nothing.
 */
export function brushOf(axis, from, to) {
  const [first, last] = from < to ? [from, to] : [to, from];
  if (axis.choices.length) {
    const chosen = axis.choices
      .map((_, index) => index)
      .filter((index) => axis.share(index) >= first && axis.share(index) <= last && isWritable(axis, index));
    return chosen.length ? { chosen } : null;
  }
  const inside = axis.values.filter((value) => axis.share(value) >= first && axis.share(value) <= last);
  if (axis.values.length) return inside.length ? { low: inside[0], high: inside.at(-1) } : null;
  return { low: axis.place(Math.max(0, first)), high: axis.place(Math.min(1, last)) };
}
