// The controls above the charts: what is on the x axis, smoothing, bands, axes, and which part is shown.

import { fill, h } from "./dom.js";

/** Stops of the smoothing: the weight that an exponential average keeps with each point. */
export const SMOOTHING = Object.freeze([0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999]);
export const AXES = ["step", "relative", "epoch", "images", "time", "wall"];
export const BANDS = ["minmax", "std", "interval", "none"];

/** Whether an x axis can be logarithmic: dates have no zero. */
export function hasLog(x) {
  return x !== "wall";
}

export class CurveControls {
  /** @param {object} page see tabs.js  @param {{showAll: function()}} charts */
  constructor(page, charts) {
    Object.assign(this, { page, charts });
    this.form = h("form", { class: "curve-controls", onsubmit: (event) => event.preventDefault() });
    this.summary = h("summary");
    const narrow = matchMedia("screen and (max-width: 720px)"); // there they are folded: they would fill the screen
    this.root = h("details", { class: "curve-settings", open: !narrow.matches }, this.summary, this.form);
    narrow.addEventListener("change", () => (this.root.open = !narrow.matches));
    this.made = "";
  }

  /**
   * Make the controls in the page's language, and give them the address's values; only axes that some of the tags have can be chosen, no
   * stop of the smoothing in `coarse`, and what was superseded if there are `ghosts`. `x` is the axis that is shown; one that `isHeld(x)`
   * denies is not offered.
   */
  update(tags, { coarse, ghosts, x, isHeld }) {
    this.coarse = coarse;
    if (this.made !== this.page.language) {
      this.made = this.page.language;
      this.make();
    }
    const { state } = this.page;
    const values = {
      x,
      smooth: String(Math.max(0, SMOOTHING.indexOf(Number(state.get("s"))))),
      band: state.get("band"),
      find: state.get("find"),
      from: state.get("zoom").split(",")[0] ?? "",
      to: state.get("zoom").split(",")[1] ?? "",
    };
    for (const [name, value] of Object.entries(values)) {
      const field = this.fields[name];
      if (field.value !== value && !(field === document.activeElement && field.tagName === "INPUT" && field.type !== "range"))
        field.value = value;
    }
    const axes = new Set(tags.flatMap((row) => row.axes ?? AXES));
    for (const option of this.fields.x.options) {
      option.disabled = !axes.has(option.value);
      option.hidden = !isHeld(option.value);
    }
    this.fields.x.parentElement.hidden = AXES.filter(isHeld).length < 2;
    this.fields.members.checked = state.get("members") === "1";
    this.fields.ghosts.checked = state.get("ghosts") === "1";
    this.fields.ghosts.parentElement.hidden = this.page.source.frozen || (!ghosts && !this.fields.ghosts.checked);
    this.fields.trim.checked = state.get("trim") === "1";
    this.fields.logx.disabled = !hasLog(x);
    this.fields.logx.checked = state.get("log").includes("x") && !this.fields.logx.disabled;
    this.fields.logy.checked = state.get("log").includes("y");
    this.fields.reset.disabled = !state.get("zoom") && !state.get("y");
    fill(this.fields.shown, SMOOTHING[Number(this.fields.smooth.value)] || this.page.text("curves.smoothing.none"));
    this.fields.smooth.setAttribute("aria-valuetext", this.fields.shown.textContent);
  }

  make() {
    const { text, state } = this.page;
    const set = (key) => (event) => state.set({ [key]: event.target.value });
    const check = (key) => (event) => state.set({ [key]: event.target.checked ? "1" : "" });
    const log = () => state.set({ log: `${this.fields.logx.checked ? "x" : ""}${this.fields.logy.checked ? "y" : ""}` });
    const select = (prefix, values, onchange) =>
      h(
        "select",
        { onchange },
        values.map((value) => h("option", { value }, text(`${prefix}.${value}`))),
      );
    const box = (onchange) => h("input", { type: "checkbox", onchange });
    const end = () => h("input", { type: "number", step: "any", class: "curve-end", onchange: () => this.zoom() });
    this.fields = {
      x: select("curves.x", AXES, (event) => state.set({ x: event.target.value, zoom: "" })),
      smooth: h("input", {
        type: "range",
        min: 0,
        max: SMOOTHING.length - 1,
        step: 1,
        oninput: (event) => this.smooth(Number(event.target.value)),
      }),
      shown: h("output", { class: "curve-smoothing" }),
      band: select("curves.band", BANDS, set("band")),
      members: box(check("members")),
      ghosts: box(check("ghosts")),
      logx: box(log),
      logy: box(log),
      trim: box(check("trim")),
      from: end(),
      to: end(),
      reset: h("button", { type: "button", class: "quiet", onclick: () => this.charts.showAll() }, text("curves.zoom.reset")),
      find: h("input", { type: "search", spellcheck: "false", autocomplete: "off", oninput: set("find") }),
    };
    const { fields } = this;
    const label = (id, ...parts) => h("label", {}, h("span", {}, text(id)), parts);
    const option = (id, field) => h("label", { class: "curve-option" }, field, text(id));
    fill(this.summary, text("curves.settings"));
    fill(
      this.form,
      label("curves.x", fields.x),
      label("curves.smoothing", h("span", { class: "curve-slider" }, fields.smooth, fields.shown)),
      label("curves.band", fields.band),
      h(
        "fieldset",
        {},
        h("legend", {}, text("curves.show")),
        option("curves.members", fields.members),
        option("curves.ghosts", fields.ghosts),
        option("curves.logx", fields.logx),
        option("curves.logy", fields.logy),
        option("curves.trim", fields.trim),
      ),
      h(
        "fieldset",
        {},
        h("legend", {}, text("curves.zoom")),
        label("curves.from", fields.from),
        label("curves.to", fields.to),
        fields.reset,
      ),
      label("curves.find", fields.find),
    );
  }

  /** Smooth by a stop, or by the next one in the same direction that is not too coarse. */
  smooth(place) {
    const { state } = this.page;
    const up = SMOOTHING[place] > Number(state.get("s"));
    while (this.coarse.includes(SMOOTHING[place])) place += up ? 1 : -1;
    this.fields.smooth.value = String(place);
    state.set({ s: String(SMOOTHING[place] ?? 0) });
  }

  /** Take the part of the x axis that was typed, once both ends make sense. */
  zoom() {
    const [from, to] = [this.fields.from.value, this.fields.to.value];
    if (from !== "" && to !== "" && Number(to) > Number(from)) this.page.state.set({ zoom: `${Number(from)},${Number(to)}` });
    else if (from === "" && to === "") this.page.state.set({ zoom: "" });
  }
}
