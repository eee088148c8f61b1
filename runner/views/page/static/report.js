// The report that the selection asks for: by the picked metric, against the picked trial.

/**
 * Resolve to {answer, query, refused}: the answer of the part `report` to `query`, which is empty for the sweep's own question; where the
 * source refuses it, `refused` is its error, and the answer is the sweep's own.
 */
export async function askReport(page) {
  const own = await page.source.json("report");
  const query = own.report ? reportQuery(page, own.subject) : {};
  if (!Object.keys(query).length) return { answer: own, query, refused: null };
  try {
    return { answer: await page.source.json("report", query), query, refused: null };
  } catch (refused) {
    return { answer: own, query, refused };
  }
}

/** Whether there is a report by a metric against the trial of an id: a file has some of them only. */
export function hasReport({ source, trials }, metric, base) {
  const query = {};
  if (metric !== trials.metric) query.metric = metric;
  if (base !== trials.standard().id) query.against = base;
  return source.holds("report", query);
}

/** What the selection asks for. A search compares no trials: it has no baseline to pick. */
function reportQuery({ trials }, subject) {
  const query = {};
  if (trials.decides() !== trials.metric) query.metric = trials.decides();
  if (subject === "comparison" && trials.baseline() !== trials.standard()) query.against = trials.baseline().id;
  return query;
}

/** Id on the page of a trial of the report; of several that the report has joined, the one with its number. */
export function pageTrial(page, trial) {
  const { runs, byId } = page.trials;
  const ids = trial.runs.map((run) => runs.get(run)?.trial).filter(Boolean);
  return ids.find((id) => byId.get(id).number === trial.number) ?? ids[0];
}
