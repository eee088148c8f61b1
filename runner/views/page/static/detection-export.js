// The tables of the Detection tab as files: the numbers of the part `evaluation`, with all of their digits. Pure functions, each of which
// returns {head, rows, notes} (see csv.js); the notes say what the columns mean.

const ALL = "(all)";
const SIDES = ["a", "b"];
const EFFECT = ["delta", "low", "high"];

const summaryHead = (side) => ["n", "mean", "std", "values"].map((name) => `${side}_${name}`);
const summaryCells = (summary) => [summary?.n, summary?.mean, summary?.std, summary?.values.join(" ")];
const effectCells = (effect) => EFFECT.map((name) => effect?.[name]);

/** Differences between the two trials, a row each, named by the first column; `more` has further columns, name to function of a row. */
function differenceTable(first, rows, notes, more = {}) {
  return {
    notes: ["n, mean, std, values: over the seeds; delta: b - a", ...notes],
    head: [first, ...SIDES.flatMap(summaryHead), ...EFFECT, "verdict", ...Object.keys(more)],
    rows: rows.map((row) => [
      row.name ?? ALL,
      ...SIDES.flatMap((side) => summaryCells(row[side])),
      ...effectCells(row.effect),
      row.means,
      ...Object.values(more).map((cell) => cell(row)),
    ]),
  };
}

export function classesTable({ total, classes, joint }) {
  const joined = joint > 1 ? `, of the ${joint} classes simultaneous (Bonferroni)` : "";
  const rows = [...(total ? [{ ...total, name: null }] : []), ...classes];
  return differenceTable("class", rows, ["a, b: AP, 0 to 1", `low, high: 95 % interval of delta${joined}`], { boxes: (row) => row.boxes });
}

export function errorsTable({ errors }) {
  const notes = [
    "a, b: AP50 lost by the error, 0 to 1 (TIDE): less is better; count: per run",
    "low, high: 95 % interval of delta, simultaneous over the errors",
  ];
  return differenceTable("error", errors, notes, { count_a: ({ counts }) => counts[0], count_b: ({ counts }) => counts[1] });
}

export function sizesTable({ sizes }) {
  return differenceTable("size", sizes, ["a, b: AP of the boxes of a size, 0 to 1", "low, high: 95 % interval of delta, simultaneous"]);
}

/** Precision at each recall: a row per class, trial and recall. */
export function curvesTable({ curves }) {
  const points = (name, side, { mean, low, high, n }) =>
    mean.map((value, index) => [name ?? ALL, side, index / Math.max(1, mean.length - 1), value, low[index], high[index], n]);
  return {
    notes: ["precision, recall: 0 to 1, at IoU 0.5; mean, lowest and highest of n seeds, rounded to 4 digits"],
    head: ["class", "trial", "recall", "precision_mean", "precision_low", "precision_high", "n"],
    rows: curves.flatMap((curve) => SIDES.flatMap((side) => (curve[side] ? points(curve.name, side, curve[side]) : []))),
  };
}

/** Where F1 is highest on the mean curve: a row per class and trial. */
export function bestTable({ curves }) {
  const row = (name, side, { best, n }) => [name ?? ALL, side, best.f1, best.precision, best.recall, n];
  return {
    notes: ["f1, precision, recall: 0 to 1, where F1 is highest on the mean curve of n seeds, at IoU 0.5"],
    head: ["class", "trial", "f1", "precision", "recall", "n"],
    rows: curves.flatMap((curve) => SIDES.flatMap((side) => (curve[side] ? [row(curve.name, side, curve[side])] : []))),
  };
}

/** All cells of the confusion matrices, those of classes that are not shown too; the background has no name. */
export function confusionTable({ confusion }) {
  const { names, a, b, iou } = confusion;
  const background = names.length - 1;
  const name = (index) => (index === background ? null : names[index]);
  const cell = (row, column) => [a?.[row][column], b?.[row][column], a && b ? b[row][column] - a[row][column] : null];
  return {
    notes: [
      `a, b: boxes, mean over the seeds, matched from IoU ${iou}; difference: b - a`,
      "true without a name: nothing is there; predicted without a name: the box is missed",
    ],
    head: ["true", "predicted", "a", "b", "difference"],
    rows: names.flatMap((_, row) => names.map((__, column) => [name(row), name(column), ...cell(row, column)])),
  };
}

export function calibrationTable(calibration) {
  const sides = SIDES.filter((side) => calibration[side]);
  const columns = ["count", "score", "right", "least", "most"];
  return {
    notes: [
      `right: share of the count detections of a score that are right at IoU ${calibration.iou}, mean over the seeds`,
      "least, most: that share of single seeds",
    ],
    head: ["from_score", "to_score", ...sides.flatMap((side) => columns.map((column) => `${side}_${column}`))],
    rows: calibration[sides[0]].map((bin, index) => [
      bin.low,
      bin.high,
      ...sides.flatMap((side) => columns.map((column) => calibration[side][index][column])),
    ]),
  };
}

/** The map of all trials by class: a row per trial and class. `label(id)` names a trial. */
export function heatTable({ names, trials }, label) {
  return {
    notes: ["delta: AP of the trial minus that of a, 0 to 1", "low, high: its 95 % interval, simultaneous over the whole table"],
    head: ["trial", "class", ...EFFECT, "verdict"],
    rows: trials.flatMap(({ trial, cells }) =>
      cells.map((cell, index) => [label(trial), index ? names[index - 1] : ALL, ...effectCells(cell), cell?.means]),
    ),
  };
}
