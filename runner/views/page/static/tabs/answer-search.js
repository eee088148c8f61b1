// The best trials of a search, below its answer. The Search tab shows the rest of such a report.
import { h } from "../dom.js";

const MOST_ROWS = 10;

/** A table of the best trials by the first metric; null before one has finished. */
export function searchAnswer(page, report) {
  const metrics = report.metrics.map((metric) => metric.name);
  const byNumber = new Map(report.trials.map((trial) => [trial.number, trial]));
  const best = report.ranked.slice(0, MOST_ROWS).map((number) => byNumber.get(number));
  if (!best.length) return null;
  const fresh = best.some((trial) => trial.fresh[metrics[0]]?.n);
  const head = [
    page.text("search.rank"),
    page.text("forest.trial"),
    ...metrics,
    ...(fresh ? [page.text("search.fresh", { metric: metrics[0] })] : []),
    ...report.parameters.map((key) => report.short[key]),
  ];
  const rows = best.map((trial, index) =>
    h(
      "tr",
      {},
      h("td", { class: "number" }, index + 1),
      h("th", { scope: "row" }, `${trial.number}`, trial.number === 0 ? ` ${page.text("verdict.baseline")}` : ""),
      metrics.map((metric) => h("td", { class: "number" }, page.summary(trial.values[metric]))),
      fresh ? h("td", { class: "number" }, page.summary(trial.fresh[metrics[0]])) : null,
      report.parameters.map((key) => h("td", { class: "number" }, page.value(trial.parameters[key]))),
    ),
  );
  const table = h(
    "table",
    { class: "plain ranking" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        head.map((name, index) => h("th", { scope: "col", class: index === 1 ? "" : "number" }, name)),
      ),
    ),
    h("tbody", {}, rows),
  );
  const title = page.text("search.best", { n: best.length, all: report.ranked.length });
  const more = h("p", { class: "small" }, h("a", { href: page.state.fragment({ tab: "search" }) }, page.text("search.more")));
  return h(
    "section",
    {},
    h("h2", {}, title),
    h("div", { class: "scrolled", tabindex: "0", role: "region", "aria-label": title }, table),
    more,
  );
}
