// What stands above the charts of the Search tab: trials by state, the best of them, ranges of the keys; and the table of importances.
import { fill, h } from "./dom.js";
import { readBrush, replaceTerm, writeBrush } from "./search-brush.js";
import { shape } from "./search-figures.js";

const STATES = ["done", "pruned", "failed", "infeasible", "running", "waiting", "interrupted"];
const SIGNS = { disc: "●", ring: "○", cross: "✕", open: "△", square: "□" };
const STOPS = [1, 2, 5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 100];

export class SearchControls {
  constructor(page) {
    this.page = page;
    this.states = h("ul", { class: "search-states" });
    this.slider = h("input", { type: "range", min: 0, max: STOPS.length - 1, step: 1, oninput: () => this.slide() });
    this.reads = h("output", {});
    this.only = h("input", { type: "checkbox", onchange: () => page.state.set({ only: this.only.checked ? "1" : "" }) });
    this.asFilter = h("button", { type: "button", class: "quiet", onclick: () => this.filterTop() });
    this.texts = [h("span", {}), h("span", {})];
    this.bar = h(
      "div",
      { class: "curve-controls search-top" },
      h("label", {}, this.texts[0], h("span", { class: "curve-slider" }, this.slider, this.reads)),
      h("label", { class: "curve-option" }, this.only, this.texts[1]),
      this.asFilter,
    );
    this.ranges = new Ranges(page);
    this.root = h("div", { class: "search-controls" }, this.states, this.bar, this.ranges.root);
  }

  show(model) {
    const { page } = this;
    this.model = model;
    this.drawStates(model);
    fill(this.texts[0], page.text("search.top"));
    fill(this.texts[1], page.text("search.only"));
    fill(this.asFilter, page.text("search.filter"));
    const stop = STOPS.findIndex((percent) => percent >= model.percent);
    this.slider.value = String(stop);
    const says = page.text("search.top.reads", { percent: model.percent, n: model.top.length });
    this.slider.setAttribute("aria-valuetext", says);
    fill(this.reads, says);
    this.only.checked = page.state.get("only") === "1";
    this.only.disabled = this.asFilter.hidden = model.percent === 100;
    this.bar.hidden = model.goal === null;
    this.ranges.show(model);
  }

  slide() {
    const percent = STOPS[Number(this.slider.value)];
    this.page.state.set({ k: percent === 100 ? "" : String(percent) });
  }

  /** Keep only the best ones, in every tab. */
  filterTop() {
    const { model, page } = this;
    const last = model.top.at(-1);
    if (!last) return;
    const smaller = model.goal === "minimize";
    const [operator, step] = [smaller ? "<=" : ">=", 10 ** (Math.floor(Math.log10(Math.abs(last.y) || 1)) - 4)];
    const rounded = Number(((smaller ? Math.ceil(last.y / step) : Math.floor(last.y / step)) * step).toPrecision(6));
    page.state.set({ f: replaceTerm(page.state.get("f"), model.tag + operator, `${model.tag}${operator}${rounded}`), k: "", only: "" });
  }

  drawStates(model) {
    const { page } = this;
    const { states } = model.explored;
    const filter = page.state.get("f");
    const item = (state) => {
      const on = filter.split(/\s+/).includes(`state:${state}`);
      const press = () => page.state.set({ f: replaceTerm(filter, "state:", on ? "" : `state:${state}`) });
      const sign = SIGNS[shape({ state, violated: [] })];
      return h(
        "li",
        {},
        h(
          "button",
          { type: "button", "aria-pressed": String(on), onclick: press },
          h("span", { "aria-hidden": "true" }, `${sign} `),
          page.text(`search.state.${state}`, { n: states[state] }),
        ),
      );
    };
    const broken = model.all.filter((row) => row.violated.length).length;
    const focused = [...this.states.querySelectorAll("button")].indexOf(document.activeElement);
    fill(
      this.states,
      STATES.filter((state) => states[state]).map(item),
      broken ? h("li", { class: "muted" }, `□ ${page.text("search.broken", { n: broken })}`) : null,
    );
    if (focused >= 0) this.states.querySelectorAll("button")[focused]?.focus();
  }
}

/** The brushes of parallel coordinates as fields, for the keyboard. */
class Ranges {
  constructor(page) {
    this.page = page;
    this.summary = h("summary", {});
    this.list = h("div", { class: "search-ranges" });
    this.root = h("details", {}, this.summary, this.list);
    this.root.addEventListener("toggle", () => this.draw());
  }

  show(model) {
    this.model = model;
    fill(this.summary, this.page.text("search.ranges"));
    this.root.hidden = model.axes.length === 0;
    this.draw();
  }

  draw() {
    if (!this.root.open || (this.list.contains(document.activeElement) && this.list.dataset.made === this.made())) return this.refresh();
    this.list.dataset.made = this.made();
    fill(
      this.list,
      this.model.axes.map((axis) =>
        h("fieldset", {}, h("legend", { title: axis.key }, axis.short), axis.choices.length ? this.boxes(axis) : this.ends(axis)),
      ),
    );
    this.refresh();
  }

  made() {
    return JSON.stringify([this.page.language, this.model.axes.map(({ key, choices }) => [key, choices])]);
  }

  ends(axis) {
    const field = (end, id) =>
      h("input", {
        type: "text",
        inputmode: "decimal",
        "data-key": axis.key,
        name: end,
        "aria-label": `${axis.short}: ${this.page.text(id)}`,
        onchange: () => this.set(axis),
      });
    return [field("low", "curves.from"), " – ", field("high", "curves.to")];
  }

  boxes(axis) {
    return axis.choices.map((text, index) =>
      h(
        "label",
        { class: "curve-option" },
        h("input", { type: "checkbox", "data-key": axis.key, value: index, onchange: () => this.set(axis) }),
        text,
      ),
    );
  }

  inputs(axis) {
    return [...this.list.querySelectorAll("input")].filter((input) => input.dataset.key === axis.key);
  }

  set(axis) {
    const inputs = this.inputs(axis);
    const filter = this.page.state.get("f");
    if (axis.choices.length) {
      const chosen = inputs.filter((input) => input.checked).map((input) => Number(input.value));
      return this.page.state.set({ f: writeBrush(filter, axis, { chosen }) });
    }
    const [low, high] = inputs.map((input, index) =>
      input.value.trim() === "" || !Number.isFinite(Number(input.value)) ? [axis.low, axis.high][index] : Number(input.value),
    );
    this.page.state.set({ f: writeBrush(filter, axis, { low, high }) });
  }

  refresh() {
    const filter = this.page.state.get("f");
    for (const axis of this.model.axes) {
      const brush = readBrush(filter, axis);
      for (const input of this.inputs(axis)) {
        if (input.type === "checkbox") input.checked = !brush || brush.chosen.includes(Number(input.value));
        else if (input !== document.activeElement) {
          input.value = brush && brush[input.name] !== axis[input.name] ? String(brush[input.name]) : "";
          input.setAttribute("placeholder", axis.label(axis[input.name] ?? 0));
        }
      }
    }
  }
}

/** Importances as the report on a search has them. */
export function importanceCard(page, model) {
  const found = model.explored.importances.find(({ metric }) => metric === model.tag);
  if (!found) return null;
  const title = h("h2", {}, page.text("search.importances", { metric: found.metric }));
  if (found.refused) return h("section", {}, title, h("p", { class: "muted" }, page.note(found.refused)));
  const percent = (share) => `${Math.round(100 * share)} %`;
  const row = (each) =>
    h(
      "tr",
      { class: each.beyond_chance ? "" : "chance" },
      h("th", { scope: "row", title: each.key }, model.axis(each.key)?.short ?? each.key),
      h(
        "td",
        { class: "bar" },
        h(
          "span",
          { class: "whole", "aria-hidden": "true", style: { "--share": each.share, "--low": each.low, "--high": each.high } },
          h("span", { class: "fill" }),
          h("span", { class: "whisker" }),
        ),
      ),
      h("td", { class: "number" }, percent(each.share)),
      h("td", { class: "number" }, `[${percent(each.low)}, ${percent(each.high)}]`),
      h("td", {}, page.text(each.beyond_chance ? "search.beyond" : "search.chance")),
      h("td", {}, each.best),
    );
  const heads = ["key", "", "share", "interval", "judged", "values"].map((name) =>
    h(
      name ? "th" : "td",
      name ? { scope: "col", class: ["share", "interval"].includes(name) ? "number" : "" } : {},
      name ? page.text(`search.importances.${name}`) : "",
    ),
  );
  const table = h(
    "table",
    { class: "plain search-importances" },
    h("thead", {}, h("tr", {}, heads)),
    h("tbody", {}, found.parameters.map(row)),
  );
  const method = page.text("search.importances.method", {
    method: found.method,
    percent: Math.round(100 * found.top_share),
    top: found.top,
    trials: found.trials,
  });
  return h(
    "section",
    { class: "search-card" },
    title,
    h("div", { class: "scrolled", tabindex: "0", role: "region", "aria-label": title.textContent }, table),
    h("p", { class: "small muted" }, method),
  );
}
