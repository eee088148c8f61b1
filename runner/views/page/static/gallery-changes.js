// What has changed between two trials at a score, from the scores of every run that the part `gallery` has. Pure functions.
//
// A change is {kind, image, label, size, box, share, a, b, as, index}: `a` and `b` are how many runs of each side find it, `share` by how
// large a part of the seeds the sides differ, `as` the class it is taken for now (lost) or was taken for before (gained), −1 for none,
// `index` its place among the true boxes or the false alarms.

export const KINDS = Object.freeze(["gained", "lost", "confused", "moved", "alarm", "gone"]);
/** Kinds that are about a true box. */
export const OF_TRUTH = new Set(["gained", "lost", "confused", "moved"]);
const NAMES = ["s", "m", "l"];

/** Number of runs, of columns of scores, that have at least `least` for a box. */
const count = (rows, index, least) => rows.reduce((sum, row) => sum + (row[index] >= least), 0);

/** Number of runs that do not find a true box and take it for another class. */
const countConfused = (side, index, least) => side.confused.reduce(
  (sum, row, run) => sum + (row[index] >= least && side.found[run][index] < least),
  0,
);

/** The class that most runs take a true box for; −1 for none. */
function takenFor(side, index, least) {
  const votes = new Map();
  side.confused.forEach((row, run) => {
    const label = side.confused_as[run][index];
    if (row[index] >= least && side.found[run][index] < least) votes.set(label, (votes.get(label) ?? 0) + 1);
  });
  return [...votes].sort((one, other) => other[1] - one[1] || one[0] - other[0])[0]?.[0] ?? -1;
}

/** Mean overlap, in thousandths, of the runs that find a true box; 0 where none does. */
export function meanOverlap(side, index, least) {
  let [sum, found] = [0, 0];
  side.found.forEach((row, run) => {
    if (row[index] < least) return;
    sum += side.overlap[run][index];
    found += 1;
  });
  return found ? sum / found : 0;
}

/** All changes at a score. @param {object} data of the part @param {{score: number, steady: boolean}} options */
export function allChanges(data, { score, steady }) {
  const { truth, alarms } = data;
  const least = Math.round(score * 1000);
  const limit = steady ? 0.5 : 0;
  const [na, nb] = [truth.a.found.length, truth.b.found.length];
  const result = [];
  const add = (columns, index, kind, share, a, b, as = -1) =>
    result.push({
      kind,
      share,
      a,
      b,
      as,
      index,
      image: columns.image[index],
      label: columns.label[index],
      size: NAMES[columns.size[index]],
      box: columns.box[index],
    });
  truth.image.forEach((_, index) => {
    const [a, b] = [count(truth.a.found, index, least), count(truth.b.found, index, least)];
    const change = b / nb - a / na;
    if (change > limit) add(truth, index, "gained", change, a, b, takenFor(truth.a, index, least));
    else if (change < -limit) {
      const confused = countConfused(truth.b, index, least) / nb - countConfused(truth.a, index, least) / na;
      const as = takenFor(truth.b, index, least);
      add(truth, index, confused > limit ? "confused" : "lost", -change, a, b, as);
    } else if (Math.min(a / na, b / nb) > limit) {
      const moved = (meanOverlap(truth.b, index, least) - meanOverlap(truth.a, index, least)) / 1000;
      if (Math.abs(moved) >= data.moved - 1e-9) add(truth, index, "moved", Math.abs(moved), a, b);
    }
  });
  const [ofA, ofB] = [alarms.score.slice(0, na), alarms.score.slice(na)];
  alarms.image.forEach((_, index) => {
    const [a, b] = [count(ofA, index, least), count(ofB, index, least)];
    const change = b / nb - a / na;
    if (Math.abs(change) > limit) add(alarms, index, change > 0 ? "alarm" : "gone", Math.abs(change), a, b);
  });
  return result;
}

/** Changes that pass the filters: {label, as, size, kinds}; −1 and empty let all pass. */
export function filtered(changes, { label, as, size, kinds }) {
  const passes = (wanted, value) => wanted < 0 || wanted === value;
  const isKind = (kind) => !kinds.length || kinds.includes(kind);
  return changes.filter((each) => passes(label, each.label) && passes(as, each.as) && (!size || each.size === size) && isKind(each.kind));
}

/** Images with their changes, {image, changes}, the most changed first. */
export function byImage(changes, alarmWeight) {
  const images = new Map();
  for (const each of changes) {
    if (!images.has(each.image)) images.set(each.image, { image: each.image, changes: [], weight: 0 });
    const entry = images.get(each.image);
    entry.changes.push(each);
    entry.weight += each.share * (OF_TRUTH.has(each.kind) ? 1 : alarmWeight);
  }
  for (const entry of images.values()) entry.changes.sort(
    (one, other) => other.share - one.share || KINDS.indexOf(one.kind) - KINDS.indexOf(other.kind),
  );
  const weight = (entry) => Math.round(entry.weight * 1e6);
  return [...images.values()].sort((one, other) => weight(other) - weight(one) || one.image - other.image);
}

/** Number of changes by kind, and of the true boxes that the filters by class and size leave. */
export function totals(data, changes, { label, as, size }) {
  const left = filtered(changes, { label, as, size, kinds: [] });
  const counts = Object.fromEntries(KINDS.map((kind) => [kind, left.filter((each) => each.kind === kind).length]));
  const { truth } = data;
  const counted = (index) => (label < 0 || truth.label[index] === label) && (!size || NAMES[truth.size[index]] === size);
  const all = truth.image.filter((_, index) => counted(index)).length;
  return { ...counts, all };
}
