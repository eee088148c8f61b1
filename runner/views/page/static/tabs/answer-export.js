// The tables of the Answer tab as files: the numbers of the report, with all of their digits. Pure functions, each of which returns
// {head, rows, notes} (see csv.js).

const summaryHead = (name) => ["n", "mean", "std"].map((each) => `${name}_${each}`);
const summaryCells = (summary) => [summary?.n, summary?.mean, summary?.std];
const identity = (trial, name) => [trial.number, trial.label, trial.runs.map(name).join(" "), trial.seeds.join(" ")];

/** The differences: a row per trial, with the values of the keys that were varied. `name(run)` is that of a run's directory. */
export function differencesTable(report, name) {
  const { metric, varied, trials } = report;
  const ends = ["delta", "low", "high"];
  return {
    notes: [
      `metric: ${metric}, ${report.goal === "maximize" ? "higher" : "lower"} is better; mean, std and values over the seeds`,
      `delta: difference to ${trials[0].label}; low, high: 95 % interval, of all trials simultaneous; alone: were this the only trial`,
      "units: time in seconds, memory in GiB",
    ],
    head: [
      ...["trial", "label", "runs", "seeds", ...varied],
      ...[...summaryHead("metric"), "metric_values", ...ends, "alone_low", "alone_high", "verdict", "seeds_to_tell"],
      ...[...summaryHead("time_s"), ...summaryHead("memory_gib")],
    ],
    rows: trials.map((trial) => {
      const effect = trial.effects[metric];
      return [
        ...identity(trial, name),
        ...varied.map((key) => trial.parameters[key]),
        ...summaryCells(trial.metrics[metric]),
        trial.metrics[metric]?.values.join(" "),
        ...ends.map((each) => effect?.[each]),
        trial.alone?.low,
        trial.alone?.high,
        trial.baseline ? "baseline" : trial.verdict,
        trial.seeds_to_tell,
        ...summaryCells(trial.time_s),
        ...summaryCells(trial.memory_gib),
      ];
    }),
  };
}

/** The metric against time: a row per trial of `trials`; `front` holds those that no other beats in both. */
export function costTable({ metric }, trials, front, name) {
  return {
    notes: [`metric: ${metric}; mean and std over the seeds`, "units: time in seconds", "not_beaten: no other trial is better in both"],
    head: ["trial", "label", "runs", "seeds", ...summaryHead("metric"), ...summaryHead("time_s"), "not_beaten"],
    rows: trials.map((trial) => [
      ...identity(trial, name),
      ...summaryCells(trial.metrics[metric]),
      ...summaryCells(trial.time_s),
      front.has(trial),
    ]),
  };
}
