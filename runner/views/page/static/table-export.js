// The table of trials as a file: CSV (a row per run, exact), Markdown and LaTeX (as shown), JSON. Pure functions.

import { csvText } from "./csv.js";

/** All runs of some trials: identity, parameters, metrics to the last digit. `parameter(trial, key)` gives a value. */
export function toCsv(trials, runs, keys, metrics, parameter) {
  const head = ["run", "trial", "label", "baseline", "seed", "state", "reason", ...keys, ...metrics, "time_s", "memory_gib"];
  const rows = trials.flatMap((trial) =>
    trial.runs.map((id) => {
      const run = runs.get(id);
      const numbers = metrics.map((tag) => run.values[tag]);
      return [
        run.name,
        trial.number,
        trial.label,
        trial.baseline,
        run.seed,
        run.state,
        run.reason,
        ...keys.map((key) => parameter(trial, key)),
        ...numbers,
        run.time_s,
        run.memory_gib,
      ];
    }),
  );
  return csvText({ head, rows });
}

/** The table as shown, for a README or an issue. */
export function toMarkdown(columns, trials) {
  const safe = (text) =>
    String(text)
      .replace(/[\\|<>`*_[\]]/g, "\\$&")
      .replace(/\s+/g, " ");
  const row = (cells) => `| ${cells.map(safe).join(" | ")} |`;
  const rule = `| ${columns.map((column) => (column.number ? "---:" : "---")).join(" | ")} |`;
  const lines = trials.map((trial) => row(columns.map((column) => column.text(trial))));
  return `${[row(columns.map((column) => column.title)), rule, ...lines].join("\n")}\n`;
}

const LATEX = new Map([..."&%$#_{}"].map((sign) => [sign, `\\${sign}`]));
for (const [sign, text] of [
  ["\\", "\\textbackslash{}"],
  ["~", "\\textasciitilde{}"],
  ["^", "\\textasciicircum{}"],
  ["±", "$\\pm$"],
  ["−", "$-$"],
  ["Δ", "$\\Delta$"],
  ["–", "--"],
  ["<", "$<$"],
  [">", "$>$"],
  ["|", "$|$"],
  ['"', "''"],
])
  LATEX.set(sign, text);

/** The table as shown, for a paper: needs \usepackage{booktabs}. */
export function toLatex(columns, trials) {
  const safe = (text) => [...String(text).replace(/\s+/g, " ")].map((sign) => LATEX.get(sign) ?? sign).join("");
  const row = (cells) => `  ${cells.map(safe).join(" & ")} \\\\`;
  const kinds = columns.map((column) => (column.number ? "r" : "l")).join("");
  const lines = [
    "% \\usepackage{booktabs}",
    `\\begin{tabular}{${kinds}}`,
    "  \\toprule",
    row(columns.map((column) => column.title)),
    "  \\midrule",
  ];
  const rows = trials.map((trial) => row(columns.map((column) => column.text(trial))));
  return `${[...lines, ...rows, "  \\bottomrule", "\\end{tabular}"].join("\n")}\n`;
}

/** Trials and runs as the page has them. */
export function toJson(title, trials, data, report) {
  const runs = trials.flatMap((trial) => trial.runs.map((id) => data.runs.get(id)));
  return `${JSON.stringify({ format: 1, title, metric: data.metric, goal: data.goal, trials, runs, report }, null, 2)}\n`;
}
