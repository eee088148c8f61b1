// Numbers as text, in the same form as `runner compare` prints them (runner/results/format.py).

const MINUS = "\u2212";
const LEAST_GIB = 0.1;

/** Round like Python's f"{value:.{digits}f}": an exact tie goes to the even digit. */
function fixed(value, digits) {
  const halves = Math.abs(value) * 2 ** (digits + 1);
  if (!Number.isInteger(halves) || halves % 2 !== 1) return value.toFixed(digits);
  const below = Math.floor(Math.abs(value) * 10 ** digits);
  return ((Math.sign(value) * (below + (below % 2))) / 10 ** digits).toFixed(digits);
}

const missing = (value) => value === null || value === undefined;

/** A number with three digits behind the point: "0.412"; a dash for none; "NaN" and the like as they are. */
export function showNumber(value, digits = 3) {
  if (missing(value)) return "–";
  return typeof value === "number" ? fixed(value, digits).replace("-", MINUS) : String(value);
}

/** A number with its sign, 0 without: "+0.019". */
export function showSigned(value, digits = 3) {
  if (missing(value)) return "–";
  const text = fixed(value, digits);
  if (Number(text) === 0) return text.replace("-", "");
  return value > 0 ? `+${text}` : text.replace("-", MINUS);
}

/** An interval: "[−0.011, +0.049]"; empty where an end is missing. */
export function showRange(low, high, digits = 3) {
  return missing(low) || missing(high) ? "" : `[${showSigned(low, digits)}, ${showSigned(high, digits)}]`;
}

/** {n, mean, std} as "0.412 ± 0.008"; without ± for a single value; a dash for none. */
export function showSummary(summary, digits = 3) {
  if (!summary || !summary.n) return "–";
  return showNumber(summary.mean, digits) + (missing(summary.std) ? "" : ` ± ${showNumber(summary.std, digits)}`);
}

/** Seconds as "0:42", "12:05", "1:02:03", "2d 04h"; a dash for none. */
export function showDuration(seconds) {
  if (missing(seconds) || !Number.isFinite(seconds)) return "–";
  const whole = Number(fixed(Math.max(0, seconds), 0));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  if (hours >= 48) return `${Math.floor(hours / 24)}d ${two(hours % 24)}h`;
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** GiB as "0.7 GiB", less than 0.1 of it as "64 MiB"; a dash for none. */
export function showMemory(gib) {
  if (missing(gib)) return "–";
  return gib < LEAST_GIB ? `${showNumber(1024 * gib, 0)} MiB` : `${showNumber(gib, 1)} GiB`;
}

/** A value of a config in one short line, as YAML writes it; a dash where the config has no such key (undefined). */
export function showValue(value) {
  if (value === undefined) return "–";
  if (Array.isArray(value)) return `[${value.map(showValue).join(", ")}]`;
  if (value !== null && typeof value === "object")
    return `{${Object.entries(value)
      .map(([key, item]) => `${key}: ${showValue(item)}`)
      .join(", ")}}`;
  if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(6)));
  return String(value).split(/\s+/).join(" ").trim();
}
