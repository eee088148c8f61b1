// The rows of the table of trials: sorted, grouped, unfolded. Pure functions.

/** Compare values of one kind: numbers by size, texts as people do ("s2" before "s10"), numbers before texts. */
function compareValues(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  if (typeof one === "number") return -1;
  if (typeof other === "number") return 1;
  return COLLATOR.compare(one, other);
}

const COLLATOR = new Intl.Collator("en", { numeric: true });

/** The value that a trial is sorted by; null where it has none, which is last in both directions. */
function sortable(value) {
  if (value === undefined || value === null || Number.isNaN(value)) return null;
  if (typeof value === "number") return value;
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Sort trials by {column, descending}, the first deciding; else they keep their order. */
export function sortTrials(trials, sort) {
  if (!sort.length) return trials;
  const keyed = trials.map((trial, at) => ({ trial, at, keys: sort.map(({ column }) => sortable(column.value(trial))) }));
  keyed.sort((one, other) => {
    for (const [index, { descending }] of sort.entries()) {
      const [a, b] = [one.keys[index], other.keys[index]];
      if (a === null && b === null) continue;
      if (a === null || b === null) return a === null ? 1 : -1;
      const order = compareValues(a, b);
      if (order) return descending ? -order : order;
    }
    return one.at - other.at;
  });
  return keyed.map(({ trial }) => trial);
}

/**
 * Rows of trials, each with the rows of its runs if it is unfolded; below rows of groups if there is a key to group by.
 * @param {Array} trials sorted
 * @param {object} options open: ids of unfolded rows; runs: Map id → run; label(id); group: null or {value(trial), title(value), others}
 */
export function makeRows(trials, { open, runs, label, group, isHere }) {
  const of = (trial, level) => {
    const expanded = trial.runs.length ? open.has(trial.id) : undefined;
    const row = {
      kind: "trial",
      id: trial.id,
      trial,
      level,
      expanded,
      label: label(trial.id),
      class: isHere(trial) ? "trial pinned" : "trial",
    };
    if (!expanded) return [row];
    return [
      row,
      ...trial.runs.map((id) => ({ kind: "run", id, trial, run: runs.get(id), level: level + 1, label: runs.get(id).name, class: "run" })),
    ];
  };
  if (!group) return trials.flatMap((trial) => of(trial, 1));
  const groups = new Map();
  for (const trial of trials) {
    const value = group.value(trial);
    const key = value === undefined ? "" : JSON.stringify(value);
    if (!groups.has(key)) groups.set(key, { value, members: [] });
    groups.get(key).members.push(trial);
  }
  const ordered = [...groups].sort(([a, one], [b, other]) =>
    a === "" ? 1 : b === "" ? -1 : compareValues(sortable(one.value) ?? "", sortable(other.value) ?? ""),
  );
  return ordered.flatMap(([key, { value, members }]) => {
    const id = `group:${key}`;
    const expanded = !open.has(id); // groups are unfolded unless one folds them
    const row = {
      kind: "group",
      id,
      level: 1,
      expanded,
      n: members.length,
      label: value === undefined ? group.others : group.title(value),
      class: "group",
    };
    return expanded ? [row, ...members.flatMap((trial) => of(trial, 2))] : [row];
  });
}

/** Failed and interrupted runs by their reason, and others by their problem, the commonest first: [{reason, state, runs}]. */
export function failures(runs) {
  const found = new Map();
  for (const run of runs) {
    const ended = ["failed", "infeasible", "interrupted"].includes(run.state);
    if (!ended && !run.problem) continue;
    const reason = (ended && run.reason) || run.problem;
    const state = ended ? run.state : "damaged";
    const key = `${state} ${reason.replace(/\d+/g, "0").split("\n")[0]}`;
    if (!found.has(key)) found.set(key, { reason, state, runs: [] });
    found.get(key).runs.push(run);
  }
  return [...found.values()].sort((one, other) => other.runs.length - one.runs.length);
}
