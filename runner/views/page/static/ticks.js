// Ticks of a chart's axes, and their labels: the same on the screen and in an exported figure.

const DAY = 86400;
const TIME_STEPS = [
  1,
  2,
  5,
  10,
  15,
  30,
  60,
  120,
  300,
  600,
  900,
  1800,
  3600,
  7200,
  10800,
  21600,
  43200,
  DAY,
  2 * DAY,
  7 * DAY,
  14 * DAY,
  30 * DAY,
  90 * DAY,
  365 * DAY,
];

/**
 * Where ticks are: at most about `count` values in [low, high]. `kind` is "number", "time" (seconds), "wall" (seconds since 1970); `log`
 * for powers of ten.
 */
export function ticks(low, high, count, kind = "number", log = false) {
  if (!(high > low)) return [low];
  if (log && low > 0 && high / low >= 10) return logTicks(low, high, count);
  const width = (high - low) / Math.max(1, count);
  const step =
    kind === "number" ? niceStep(width) : (TIME_STEPS.find((candidate) => candidate >= width) ?? niceStep(width / (365 * DAY)) * 365 * DAY);
  // days begin at midnight of the reader, not of Greenwich
  const shift = kind === "wall" ? new Date(low * 1000).getTimezoneOffset() * 60 : 0;
  const values = [];
  for (let index = Math.ceil((low - shift) / step - 1e-9); index * step + shift <= high + step * 1e-9; index++) {
    values.push(Number((index * step + shift).toPrecision(12)));
  }
  return values;
}

/** The smallest of 1, 2, 5 times a power of ten that is not below `width`. */
function niceStep(width) {
  const power = 10 ** Math.floor(Math.log10(width));
  return power * ([1, 2, 5].find((factor) => factor * power >= width * 0.999) ?? 10);
}

function logTicks(low, high, count) {
  const first = Math.floor(Math.log10(low));
  const decades = Math.log10(high / low);
  const factors = decades * 3 <= count ? [1, 2, 5] : [1];
  const stride = Math.max(1, Math.ceil(decades / Math.max(1, count)));
  const values = [];
  for (let power = first; power <= Math.log10(high) + 1e-9; power += stride) {
    for (const factor of factors) {
      const value = Number(`${factor}e${power}`);
      if (value >= low * 0.999999 && value <= high * 1.000001) values.push(value);
    }
  }
  return values;
}

/** Labels of ticks, all with the same number of decimals. `format` has number(value, decimals) and lang. */
export function tickLabels(values, kind = "number", log = false, lang = "en") {
  if (kind === "wall") return wallLabels(values, lang);
  if (kind === "time") return values.map((value) => clockLabel(value, values));
  const large = Math.max(...values.map(Math.abs));
  if (log && values.length > 1 && (large >= 1e6 || values.some((value) => value < 1e-4)))
    return values.map((value) => minus(value.toExponential(0).replace("e+", "e")));
  if (large >= 1e7 || (large > 0 && large < 1e-4))
    return values.map((value) => minus(Number(value.toPrecision(6)).toExponential().replace("e+", "e")));
  const decimals = (value) => (String(Number(value.toPrecision(10))).split(".")[1] ?? "").length;
  const most = Math.min(10, Math.max(0, ...values.map(decimals)));
  const format = new Intl.NumberFormat(
    lang,
    log ? { maximumFractionDigits: 10 } : { minimumFractionDigits: most, maximumFractionDigits: most },
  );
  return values.map((value) => minus(format.format(value)));
}

/** A text with the minus sign instead of a hyphen. */
export function minus(text) {
  return text.replaceAll("-", "−");
}

function clockLabel(seconds, values) {
  const step = values.length > 1 ? values[1] - values[0] : seconds;
  const sign = seconds < 0 ? "−" : "";
  const whole = Math.round(Math.abs(seconds));
  const two = (value) => String(value).padStart(2, "0");
  if (step >= DAY && whole % DAY === 0) return `${sign}${whole / DAY} d`;
  if (Math.max(...values.map(Math.abs)) < 3600) return `${sign}${Math.floor(whole / 60)}:${two(whole % 60)}`; // as durations elsewhere
  const clock = `${sign}${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}`;
  return step < 60 ? `${clock}:${two(whole % 60)}` : clock;
}

function wallLabels(values, lang) {
  const step = values.length > 1 ? values[1] - values[0] : DAY;
  const time = new Intl.DateTimeFormat(lang, step < 60 ? { timeStyle: "medium" } : { timeStyle: "short" });
  const date = new Intl.DateTimeFormat(lang, { month: "short", day: "numeric" });
  let shown = "";
  return values.map((value) => {
    const moment = new Date(value * 1000);
    const day = date.format(moment);
    if (step >= DAY) return day;
    const label = day === shown ? time.format(moment) : `${time.format(moment)}\n${day}`;
    shown = day;
    return label;
  });
}
