// The marks of a chart as paths, drawn by a pen: on a canvas, or as SVG. So a figure that is exported has what the screen shows.
//
// A figure is
//   xs        Float64Array, the same for all lines: middles of buckets
//   lines     [{id, name, color, dash, width, ys, low, high, alpha, ends, breaks, marks}]
//             `quiet`: its band is drawn only while the line is emphasised
//             `ys`, `low`, `high`: one value per x, NaN where there is none; low and high may be null; `alpha` of the band between them
//             `ends`: x from which on a mean has fewer members, or null; `breaks`: x of values that are not finite, sorted
//             `marks`: [{kind, x, y}]: best, inf, -inf, nan, below, resumed, ended
//   ghosts    [{color, ys}] of what was superseded
//   context   [ys, …] of lines that are drawn in grey, without a name
// A scale is {x: {low, high, log}, y: {low, high, log}, left, top, width, height}.

/** Functions from values to positions. */
export function positions({ x, y, left, top, width, height }) {
  const along = ({ low, high, log }, start, length) => {
    if (log) {
      const first = Math.log10(low);
      const factor = length / (Math.log10(high) - first);
      return (value) => start + (Math.log10(value) - first) * factor;
    }
    const factor = length / (high - low);
    return (value) => start + (value - low) * factor;
  };
  return { toX: along(x, left, width), toY: along(y, top + height, -height) };
}

/** Draw the grey lines. */
export function drawContext(pen, figure, scale, color) {
  const { toX, toY } = positions(scale);
  const [first, last] = visible(figure.xs, scale.x);
  pen.begin();
  for (const ys of figure.context) trace(pen, figure.xs, ys, first, last, toX, toY, [], scale.y.log);
  pen.stroke({ color, width: 1, alpha: 0.35 });
}

/** Draw bands, lines and marks; `paper` is the colour below them. */
export function drawLines(pen, figure, scale, paper) {
  const { toX, toY } = positions(scale);
  const [first, last] = visible(figure.xs, scale.x);
  for (const { color, ys } of figure.ghosts) {
    pen.begin();
    trace(pen, figure.xs, ys, first, last, toX, toY, [], scale.y.log);
    pen.stroke({ color, width: 1, alpha: 0.7, dash: [2, 3] });
  }
  for (const line of figure.lines) if (!line.quiet) drawBand(pen, figure.xs, line, first, last, toX, toY, scale);
  for (const line of figure.lines) drawLine(pen, figure.xs, line, first, last, toX, toY, scale);
  for (const line of figure.lines) drawMarks(pen, line, scale, toX, toY, paper);
}

/** Draw one line above all others. */
export function drawFocus(pen, figure, line, scale, paper) {
  const { toX, toY } = positions(scale);
  const [first, last] = visible(figure.xs, scale.x);
  pen.begin();
  trace(pen, figure.xs, line.ys, first, last, toX, toY, line.breaks, scale.y.log);
  pen.stroke({ color: paper, width: line.width + 5, alpha: 0.85 });
  if (line.quiet) drawBand(pen, figure.xs, line, first, last, toX, toY, scale);
  drawLine(pen, figure.xs, { ...line, width: line.width + 1.5 }, first, last, toX, toY, scale);
  drawMarks(pen, line, scale, toX, toY, paper);
}

/** First and last index whose x is shown, and one more on each side, so that lines leave the frame. */
export function visible(xs, { low, high }) {
  let first = 0;
  let last = xs.length - 1;
  while (first < last && xs[first + 1] < low) first++;
  while (last > first && xs[last - 1] > high) last--;
  return [first, last];
}

function drawBand(pen, xs, line, first, last, toX, toY, scale) {
  if (!line.low || !line.high) return;
  const floor = scale.y.log ? scale.y.low : -Infinity;
  const used = [];
  for (let index = first; index <= last; index++) if (!Number.isNaN(line.low[index]) && line.high[index] > floor) used.push(index);
  pen.begin();
  if (used.length === 1) {
    const [index] = used;
    pen.from(toX(xs[index]), toY(line.high[index]));
    pen.to(toX(xs[index]), toY(Math.max(line.low[index], floor)));
    pen.stroke({ color: line.color, width: 2, alpha: 0.5 });
  }
  if (used.length < 2) return;
  used.forEach((index, place) => pen[place ? "to" : "from"](toX(xs[index]), toY(line.high[index])));
  used.reverse().forEach((index) => pen.to(toX(xs[index]), toY(Math.max(line.low[index], floor))));
  pen.close();
  pen.fill({ color: line.color, alpha: line.alpha });
}

function drawLine(pen, xs, line, first, last, toX, toY, scale) {
  const style = { color: line.color, width: line.width, dash: line.dash, alpha: line.faint ?? 1 };
  let whole = last;
  if (line.ends !== null && line.ends !== undefined) while (whole > first && xs[whole] > line.ends) whole--;
  pen.begin();
  const count = trace(pen, xs, line.ys, first, whole, toX, toY, line.breaks, scale.y.log);
  pen.stroke(style);
  if (whole < last) {
    pen.begin();
    trace(pen, xs, line.ys, whole, last, toX, toY, line.breaks, scale.y.log);
    pen.stroke({ ...style, dash: [2, 4] });
  }
  if (count > 40) return;
  pen.begin();
  for (let index = first; index <= last; index++)
    if (drawable(line.ys[index], scale.y.log)) pen.disc(toX(xs[index]), toY(line.ys[index]), line.width / 2 + (count === 1 ? 3 : 1));
  pen.fill({ color: line.color, alpha: style.alpha });
}

function drawable(value, log) {
  return log ? value > 0 : !Number.isNaN(value);
}

/** Trace a line past empty buckets, but not past a value that is not finite. Returns the number of points. */
function trace(pen, xs, ys, first, last, toX, toY, breaks, log) {
  let count = 0;
  let next = 0;
  let previous = -Infinity;
  for (let index = first; index <= last; index++) {
    const value = ys[index];
    if (!drawable(value, log)) continue;
    while (next < breaks.length && breaks[next] <= previous) next++;
    const broken = count === 0 || (next < breaks.length && breaks[next] < xs[index]);
    pen[broken ? "from" : "to"](toX(xs[index]), toY(value));
    previous = xs[index];
    count++;
  }
  return count;
}

function drawMarks(pen, line, scale, toX, toY, paper) {
  const bottom = scale.top + scale.height;
  const taken = new Set();
  for (const mark of line.marks) {
    const x = toX(mark.x);
    if (!(x >= scale.left - 1 && x <= scale.left + scale.width + 1)) continue;
    const place = `${mark.kind} ${Math.round(x / 3)}`;
    if (taken.has(place)) continue;
    taken.add(place);
    const y = Math.min(bottom, Math.max(scale.top, toY(mark.y)));
    drawMark(pen, mark.kind, x, Number.isFinite(y) ? y : bottom, scale, line.color, paper);
  }
}

/**
 * Draw a mark: ◇ best; ▲ and ▼ for infinite values and △ for NaN at the frame, ▽ for what a log axis cannot show; ⟲ resumed; ▮ the end of a
 * member.
 */
function drawMark(pen, kind, x, y, scale, color, paper) {
  const bottom = scale.top + scale.height;
  const ink = { color, width: 1.5, alpha: 1 };
  pen.begin();
  if (kind === "best")
    polygon(pen, [
      [x, y - 6],
      [x + 5, y],
      [x, y + 6],
      [x - 5, y],
    ]);
  else if (kind === "inf" || kind === "nan")
    polygon(pen, [
      [x, scale.top + 1],
      [x + 5, scale.top + 10],
      [x - 5, scale.top + 10],
    ]);
  else if (kind === "-inf" || kind === "below")
    polygon(pen, [
      [x, bottom - 1],
      [x + 5, bottom - 10],
      [x - 5, bottom - 10],
    ]);
  else if (kind === "ended")
    polygon(pen, [
      [x - 2, y - 6],
      [x + 2, y - 6],
      [x + 2, y + 6],
      [x - 2, y + 6],
    ]);
  else return drawResumed(pen, x, bottom - 9, ink, paper);
  pen.fill({ color: kind === "inf" || kind === "-inf" || kind === "ended" ? color : paper, alpha: 1 });
  pen.stroke(ink);
}

function polygon(pen, points) {
  points.forEach(([x, y], place) => pen[place ? "to" : "from"](x, y));
  pen.close();
}

function drawResumed(pen, x, y, ink, paper) {
  pen.begin();
  pen.disc(x, y, 7);
  pen.fill({ color: paper, alpha: 1 });
  pen.begin();
  for (let step = 0; step <= 12; step++) {
    const angle = -0.9 - (step / 12) * 5;
    pen[step ? "to" : "from"](x + 5 * Math.cos(angle), y + 5 * Math.sin(angle));
  }
  pen.stroke(ink);
  pen.begin();
  polygon(pen, [
    [x + 5.5, y - 6.5],
    [x + 5.5, y - 1],
    [x + 0.5, y - 3],
  ]);
  pen.fill(ink);
}

/** A pen that draws on a canvas; `ratio` is the number of its pixels per CSS pixel. */
export class CanvasPen {
  constructor(context, ratio) {
    this.context = context;
    this.ratio = ratio;
  }

  begin() {
    this.context.beginPath();
  }

  from(x, y) {
    this.context.moveTo(x * this.ratio, y * this.ratio);
  }

  to(x, y) {
    this.context.lineTo(x * this.ratio, y * this.ratio);
  }

  close() {
    this.context.closePath();
  }

  disc(x, y, radius) {
    this.context.moveTo((x + radius) * this.ratio, y * this.ratio);
    this.context.arc(x * this.ratio, y * this.ratio, radius * this.ratio, 0, 2 * Math.PI);
  }

  stroke({ color, width, dash = [], alpha }) {
    this.context.globalAlpha = alpha;
    this.context.strokeStyle = color;
    this.context.lineWidth = width * this.ratio;
    this.context.lineJoin = "round";
    this.context.setLineDash(dash.map((length) => length * this.ratio));
    this.context.stroke();
  }

  fill({ color, alpha }) {
    this.context.globalAlpha = alpha;
    this.context.fillStyle = color;
    this.context.fill();
  }
}

/** A pen that writes SVG: `parts` holds its elements. */
export class SvgPen {
  parts = [];

  begin() {
    this.path = [];
  }

  from(x, y) {
    this.path.push(`M${short(x)} ${short(y)}`);
  }

  to(x, y) {
    this.path.push(`L${short(x)} ${short(y)}`);
  }

  close() {
    this.path.push("Z");
  }

  disc(x, y, radius) {
    const r = short(radius);
    this.path.push(`M${short(x - radius)} ${short(y)}a${r} ${r} 0 1 0 ${short(2 * radius)} 0a${r} ${r} 0 1 0 ${short(-2 * radius)} 0Z`);
  }

  stroke({ color, width, dash = [], alpha }) {
    const dashes = dash.length ? ` stroke-dasharray="${dash.join(" ")}"` : "";
    this.put(`fill="none" stroke="${color}" stroke-width="${width}"${dashes} stroke-opacity="${alpha}" stroke-linejoin="round"`);
  }

  fill({ color, alpha }) {
    this.put(`fill="${color}" fill-opacity="${alpha}"`);
  }

  put(style) {
    if (this.path.length) this.parts.push(`<path d="${this.path.join("")}" ${style}/>`);
  }
}

function short(value) {
  return Number(value.toFixed(2));
}
