// The header: the sweep's name, its runs by state, whether the page is live, language, theme, share, help.
import { fill, h } from "./dom.js";
import { showShare } from "./help.js";
import { recall } from "./remembered.js";
import { LANGUAGES, showCount } from "./text.js";

const STANDINGS = ["running", "waiting", "failed", "infeasible", "interrupted", "pruned"];

export class Header {
  /** @param {object} actions language(value), theme(value), pause(), help() */
  constructor(page, actions) {
    this.page = page;
    this.title = h("h1", {});
    this.counts = h("p", { class: "counts" });
    this.live = h("button", { type: "button", class: "live", onclick: page.source.frozen ? () => showShare(page) : actions.pause });
    this.language = h("select", { onchange: (event) => actions.language(event.target.value) });
    this.theme = h("select", { onchange: (event) => actions.theme(event.target.value) });
    this.share = h("button", { type: "button", onclick: () => showShare(page) });
    this.help = h("button", { type: "button", class: "round", onclick: actions.help }, "?");
    const tools = h("div", { class: "tools" }, this.live, this.language, this.theme, this.share, this.help);
    this.root = h("header", { class: "top" }, h("div", { class: "heading" }, this.title, this.counts), tools);
  }

  /** @param {object} frame overview, paused and gone of it are shown */
  update({ overview, paused, gone }) {
    const { page } = this;
    fill(this.title, overview?.title ?? page.text("loading"));
    fill(this.counts, overview ? countsText(page, overview.runs) : "\u00a0");
    this.updateLive(paused, gone);
    choices(this.language, page.text("language"), Object.entries(LANGUAGES), page.language);
    const themes = ["", "light", "dark"].map((value) => [value, page.text(`theme.${value || "auto"}`)]);
    choices(this.theme, page.text("theme"), themes, page.state.get("theme") || recall("theme"));
    fill(this.share, page.text("share"));
    this.help.setAttribute("aria-label", page.text("help.title"));
    this.help.setAttribute("title", page.text("help.title"));
  }

  updateLive(paused, gone) {
    const { page } = this;
    if (page.source.frozen) {
      this.live.dataset.state = "file";
      fill(this.live, page.text("frozen.since", { day: dayOf(page) }));
      return;
    }
    const state = gone ? "gone" : paused ? "paused" : "live";
    this.live.dataset.state = state;
    this.live.setAttribute("aria-pressed", String(Boolean(paused)));
    this.live.setAttribute("title", page.text(paused ? "live.resume" : "live.pause"));
    fill(this.live, h("span", { class: "dot", "aria-hidden": "true" }), page.text(`live.${state}`));
  }
}

/** The day on which a file was made. */
function dayOf(page) {
  return new Intl.DateTimeFormat(page.language, { dateStyle: "medium" }).format(new Date(page.source.made * 1000));
}

/** "12 of 18 runs · 2 running · 1 failed". */
function countsText(page, runs) {
  const all = Object.values(runs).reduce((sum, count) => sum + count, 0);
  const done = runs.done ?? 0;
  const first = page.text("counts.done", { done: showCount(done, page.language), all });
  const count = (standing) => page.text(`counts.${standing}`, { n: showCount(runs[standing], page.language) });
  const rest = STANDINGS.filter((standing) => runs[standing]).map(count);
  return [first, ...rest].join(" · ");
}

/** Give a select its name and options, unless it has them already: an open list would close. */
export function choices(select, name, options, value) {
  const signature = JSON.stringify([name, options]);
  if (select.signature !== signature) {
    select.signature = signature;
    select.setAttribute("aria-label", name);
    fill(
      select,
      options.map(([key, text]) => h("option", { value: key }, text)),
    );
  }
  select.value = value;
}
