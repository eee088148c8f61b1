// An error, shown where it happened.
import { copyable } from "./copy.js";
import { h } from "./dom.js";

/** A card that says what failed; its details can be copied for a report. */
export function failure(page, error) {
  const details = `${error?.stack ?? error}`;
  return h(
    "section",
    { class: "failure", role: "alert" },
    h("p", { class: "strong" }, page.text("failure", { message: error?.message ?? String(error) })),
    h("details", {}, h("summary", {}, page.text("failure.details")), copyable(page, details)),
  );
}

/** What could not be had: in a file, which never holds everything, a quiet sentence; else a failure. */
export function refusal(page, error) {
  return page.source.frozen ? h("p", { class: "muted" }, error.message) : failure(page, error);
}
