// The figure of a tag's curves (see chart-draw.js): which lines there are, and what each shows.

const FAINTER_BANDS = 6; // with more bands, each is fainter
const MOST_BANDS = 12; // with more, only those of strong lines are drawn
const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]]; // of the 1st, 2nd, … tag in one chart

/**
 * Make the figure of one or more tags on one grid.
 *
 * @param {object[]} answers what parseCurves() returned, one per tag, with the same grid
 * @param {object} options `lines(series)` {name, color, dash, width} of a series, or null where it is not in colour; `context(series)`
 *   whether it is drawn in grey then; `members` show the runs of a trial too; `band` "minmax", "std", "interval" or "none"; `smoothing`;
 *   `log` of the y axis
 */
export function makeFigure(answers, options) {
  const figure = { xs: answers[0].xs, lines: [], context: [], ghosts: [] };
  answers.forEach((curves, place) => addCurves(figure, curves, place, answers.length > 1, options));
  quieten(figure);
  return figure;
}

/** Let many bands not hide the lines: fewer, or fainter. */
function quieten(figure) {
  const banded = figure.lines.filter(({ low }) => low);
  figure.quiet = banded.length > MOST_BANDS;
  for (const line of banded) {
    line.alpha *= Math.min(1, Math.sqrt(FAINTER_BANDS / banded.length));
    line.quiet = figure.quiet && !line.strong;
  }
}

function addCurves(figure, curves, place, several, wanted) {
  const options = { ...wanted, interval: curves.interval };
  const { folded, alone } = groupsOf(curves);
  const members = [];
  for (const series of curves.series) {
    if (alone.has(series)) continue;
    const isMember = series.kind === "run" && folded.has(series.group ?? series.trial);
    if (isMember && !options.members) continue;
    const look = options.lines(series);
    if (!look) {
      if (!isMember && options.context(series)) figure.context.push(valuesOf(series, options));
      continue;
    }
    if (series.kind === "ghost") {
      figure.ghosts.push({ color: look.color, ys: valuesOf(series, options) });
      continue;
    }
    const marks = series.kind === "group" && !options.members ? marksOfMembers(curves, series) : series.marks;
    const line = makeLine({ ...series, marks }, look, curves.xs, options);
    if (several)
      Object.assign(line, {
        id: `${curves.tag} ${line.id}`,
        name: `${look.name} · ${curves.tag}`,
        dash: place ? DASHES[place % DASHES.length] : look.dash,
      });
    if (isMember) members.push({ ...line, width: 1, faint: 0.45, low: null, high: null });
    else figure.lines.push(line);
  }
  figure.lines.unshift(...members);
}

/**
 * Ids of the groups whose runs are folded into them, and the groups that are trials of one run: that run itself says more than its mean.
 */
function groupsOf({ series }) {
  const runs = new Set(series.filter(({ kind }) => kind === "run").map(({ group }) => group));
  const groups = series.filter(({ kind }) => kind === "group");
  const alone = new Set(groups.filter(({ id, trial, members }) => trial !== null && members === 1 && runs.has(id)));
  return { alone, folded: new Set(groups.filter((group) => !alone.has(group)).map(({ id }) => id)) };
}

function marksOfMembers({ series }, { id, marks }) {
  return [
    ...marks,
    ...series
      .filter(({ kind, group }) => kind === "run" && group === id)
      .flatMap((run) => run.marks.map((mark) => ({ ...mark, run: run.id }))),
  ];
}

function makeLine(series, { name, color, dash, width, strong = false }, xs, options) {
  const ys = valuesOf(series, options);
  const [low, high, edges] = band(series, options);
  const last = series.last?.[0] ?? Infinity;
  const ended = (series.ended ?? []).filter((x) => x < last).sort((a, b) => a - b);
  const breaks = series.kind === "run" ? series.marks.filter(({ kind }) => kind !== "resumed").map(({ x }) => x) : [];
  return {
    id: series.id,
    trial: series.trial,
    name,
    color,
    dash,
    width,
    strong,
    ys,
    low,
    high,
    edges,
    series,
    alpha: series.kind === "group" ? 0.16 : options.smoothing > 0 ? 0.15 : 0.28,
    ends: ended[0] ?? null,
    breaks: breaks.sort((a, b) => a - b),
    marks: marksOf(series, ys, xs, ended, options),
  };
}

function valuesOf({ kind, data }, { smoothing }) {
  if (kind === "group") return data.mean;
  return smoothing > 0 ? data.smooth : data.last;
}

/** Lower and upper edge of the band, and what they are: of a run what its buckets hold, of a group the spread of its members. */
function band({ kind, members, data }, { band: wanted, interval }) {
  if (wanted === "none") return [null, null];
  if (kind === "run") return data.n.some((count) => count > 1) ? [data.min, data.max, "minmax"] : [null, null];
  if (members < 2) return [null, null];
  if (wanted === "minmax") return [data.low, data.high, wanted];
  const factor = (index) => (wanted === "interval" ? interval[data.n[index]] : 1);
  const half = (index) => (data.n[index] > 1 ? factor(index) * data.std[index] : 0); // one member alone has none
  const at = (sign) => data.mean.map((value, index) => value + sign * half(index));
  return [at(-1), at(1), wanted];
}

function marksOf(series, ys, xs, ended, { log }) {
  const marks = series.marks.map((mark) => ({ ...mark, y: NaN }));
  if (series.best) marks.push({ kind: "best", x: series.best[0], y: series.best[1] });
  for (const x of ended) marks.push({ kind: "ended", x, y: valueAt(ys, xs, x) });
  if (log) ys.forEach((value, index) => value <= 0 && marks.push({ kind: "below", x: xs[index], y: NaN }));
  return marks;
}

function valueAt(ys, xs, x) {
  let value = NaN;
  for (let index = 0; index < xs.length && xs[index] <= x; index++) if (!Number.isNaN(ys[index])) value = ys[index];
  return value;
}
