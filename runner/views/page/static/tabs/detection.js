// Tab Detection: two trials as detectors. By class, what they find and miss in the images, curves, kinds of errors, confusion, calibration.
import { classTable, HeatMap } from "../detection-classes.js";
import { confusionMatrices } from "../detection-confusion.js";
import { errorTable, sizeTable } from "../detection-errors.js";
import { curveGrid, reliabilityChart } from "../detection-planes.js";
import { fill, h } from "../dom.js";
import { refusal } from "../failure.js";
import { Gallery, GALLERY_KEYS } from "../gallery.js";
import { choices } from "../header.js";

const SECTIONS = ["classes", "gallery", "curves", "errors", "confusion", "calibration", "sizes"];
const FOCUSABLE = "button, summary, [tabindex]";
const DASH = "5 3"; // of A, so that the sides differ without their colours

export const detectionTab = {
  id: "detection",
  keys: { a: "", b: "", by: "", ...GALLERY_KEYS },
  shows: (overview) => overview.detection,
  help: [
    ["J K", "gallery.key.move"],
    ["T A B", "gallery.key.toggle"],
    ["S", "gallery.key.single"],
    ["+ − 0", "gallery.key.zoom"],
  ],
  mount: (page) => new DetectionView(page),
};

class DetectionView {
  constructor(page) {
    this.page = page;
    this.a = h("select", { onchange: (event) => this.pick("a", event.target.value) });
    this.b = h("select", { onchange: (event) => this.pick("b", event.target.value) });
    this.swap = h("button", { type: "button", onclick: () => this.exchange() }, "⇄");
    this.labels = { a: h("label"), b: h("label") };
    this.pickers = h("div", { class: "sides" }, this.labels.a, this.swap, this.labels.b);
    this.notes = h("div", { class: "sides-notes" });
    this.jumps = h("nav", { class: "jumps" });
    this.parts = Object.fromEntries(SECTIONS.map((name) => [name, new Section(name)]));
    this.heat = new HeatMap(page);
    this.gallery = new Gallery(page);
    this.parts.gallery.show(this.gallery.root);
    this.root = h("div", { class: "detection" }, this.pickers, this.notes, this.jumps, SECTIONS.map((name) => this.parts[name].root));
    this.all = { classes: false, curves: false };
  }

  unmount() {
    this.unmounted = true;
    this.gallery.unmount();
  }

  /** The chosen trials, {a, b}: empty where the part's choice holds. */
  chosen() {
    const { state, trials } = this.page;
    const [a, b] = ["a", "b"].map((side) => (trials.byId.has(state.get(side)) ? state.get(side) : ""));
    return { a: a || (state.get("base") ? trials.baseline().id : ""), b };
  }

  async update() {
    const { page } = this;
    const chosen = this.chosen();
    const standard = await page.source.json("evaluation", {});
    // the pair that the part chooses itself is asked for without a query: a file holds that, whatever it leaves out
    const own = (!chosen.a || chosen.a === standard.a.trial) && (!chosen.b || chosen.b === standard.b?.trial);
    const query = own ? {} : Object.fromEntries(Object.entries(chosen).filter(([, id]) => id));
    let [answer, error] = [standard, null];
    try {
      if (!own) answer = await page.source.json("evaluation", query);
    } catch (caught) {
      error = caught;
    }
    if (this.unmounted || JSON.stringify(chosen) !== JSON.stringify(this.chosen())) return;
    this.answer = answer;
    this.pair = this.makePair(answer);
    this.showPickers(answer, error ? chosen : {});
    for (const part of Object.values(this.parts)) part.root.hidden = Boolean(error);
    fill(this.notes, error ? refusal(page, error) : this.remarks(answer));
    this.drawn = error ? null : this.drawn;
    if (error) return this.gallery.unmount();
    this.draw();
    const reference = answer.a.trial === standard.a.trial ? {} : { a: answer.a.trial };
    this.heat.update({ view: "heat", ...reference }, answer.trials.length);
    await Promise.all([this.gallery.update(query, this.pair), this.showCalibration(query, chosen)]);
  }

  makePair(answer) {
    const { trials } = this.page;
    const one = trials.color(answer.a.trial).css;
    const two = answer.b ? trials.color(answer.b.trial).css : one;
    return { a: { css: one, dash: answer.b ? DASH : null }, b: { css: two, dash: null } };
  }

  // ---------------------------------------------------------------------------------------------------------------- pair
  showPickers(answer, asked) {
    const { page } = this;
    const options = answer.trials.filter((id) => page.trials.byId.has(id)).map((id) => [id, page.trials.label(id)]);
    const [a, b] = [asked.a || answer.a.trial, asked.b || answer.b?.trial || ""];
    this.shown = { a, b };
    for (const [side, select, value, other] of [["a", this.a, a, b], ["b", this.b, b, a]]) {
      choices(select, page.text(`detection.side.${side}`), options.filter(([id]) => id !== other), value);
      const runs = answer[side]?.runs.length ?? 0;
      fill(
        this.labels[side],
        h(
          "span",
          { class: `side-key ${side}`, style: { color: this.pair?.[side].css ?? "var(--muted)" }, "aria-hidden": "true" },
          side.toUpperCase(),
        ),
        select,
        runs ? h("span", { class: "small muted" }, page.text("detection.seeds", { n: runs })) : null,
      );
    }
    this.pickers.hidden = options.length < 2;
    this.swap.hidden = !b;
    this.swap.setAttribute("aria-label", page.text("detection.swap"));
    this.swap.setAttribute("title", page.text("detection.swap"));
    this.jumps.setAttribute("aria-label", page.text("detection.jumps"));
    const jump = (name) => h(
      "button",
      { type: "button", class: "quiet", onclick: () => this.parts[name].go() },
      page.text(`detection.${name}`),
    );
    const shown = JSON.stringify([page.language]);
    if (shown !== this.jumped) fill(this.jumps, SECTIONS.map(jump));
    this.jumped = shown;
  }

  pick(side, id) {
    const other = side === "a" ? "b" : "a";
    this.page.state.set({ [side]: id, [other]: this.shown[other] });
  }

  exchange() {
    this.page.state.set({ a: this.shown.b, b: this.shown.a });
  }

  /** What to know before the numbers: the answer in a sentence, other data, raced seeds, runs that cannot be read. */
  remarks(answer) {
    const { page } = this;
    const { total, a, b } = answer;
    const lines = [];
    if (b && total?.effect) {
      const count = (means) => answer.classes.filter((row) => row.means === means).length;
      const values = {
        a: page.trials.label(a.trial),
        b: page.trials.label(b.trial),
        delta: total.effect.delta,
        range: page.range(total.effect.low, total.effect.high),
        better: count("better"),
        worse: count("worse"),
        open: count("open"),
        without: count(null),
        n: answer.classes.length,
      };
      lines.push(h("p", { class: "lead" }, page.text(answer.joint ? "detection.lead" : "detection.lead.single", values)));
    } else if (!b) lines.push(h("p", { class: "muted" }, page.text("detection.alone", { a: page.trials.label(a.trial) })));
    if (this.isProvisional()) lines.push(h("p", { class: "badge" }, page.text("detection.provisional")));
    const warned = [];
    if (!answer.same_data) warned.push(page.text("detection.other-data"));
    if (answer.raced) warned.push(page.text("detection.raced"));
    const name = (id) => page.trials.runs.get(id)?.name ?? id;
    for (const side of [a, b]) for (const { run, problem } of side?.unreadable ?? []) warned.push(page.text(
      "detection.unreadable",
      { run: name(run), problem },
    ));
    if (warned.length) lines.push(h("section", { class: "warnings" }, h("ul", {}, warned.map((text) => h("li", {}, text)))));
    return lines;
  }

  /** Whether planned seeds of one of the two are missing. */
  isProvisional() {
    const { provisional } = this.page.overview;
    return [this.answer.a, this.answer.b].some((side) => side && provisional[side.trial]);
  }

  // ------------------------------------------------------------------------------------------------------------ sections
  /** Draw the sections, unless they show the same already: the slider of the gallery has to be fast. */
  draw() {
    const { page, answer, pair, parts } = this;
    const options = { pair, provisional: this.isProvisional() };
    const shown = JSON.stringify([options, page.language, page.state.get("by"), this.all]);
    if (this.drawn?.answer === answer && this.drawn.shown === shown) return;
    this.drawn = { answer, shown };
    const more = (name) => () => {
      this.all[name] = true;
      this.draw();
    };
    for (const name of SECTIONS) parts[name].title(page);
    const order = page.state.get("by");
    const sort = (value) => page.state.set({ by: value });
    parts.classes.show(
      classTable(
        page,
        answer,
        { ...options, order, sort, all: this.all.classes, showAll: more("classes"), filter: (name) => this.filter(name, name) },
      ),
      this.heat.root,
    );
    parts.curves.show(answer.curves.length ? curveGrid(
      page,
      answer,
      { ...options, all: this.all.curves, showAll: more("curves"), chosen: "" },
    ) : h("p", { class: "muted" }, page.text("detection.curves.none")));
    parts.errors.show(errorTable(page, answer, options));
    parts.confusion.show(confusionMatrices(page, answer, (row, column) => this.filter(row, column)));
    parts.sizes.show(sizeTable(page, answer, options));
  }

  async showCalibration(query, chosen) {
    const { page } = this;
    const { calibration } = this.parts;
    try {
      const answer = await page.source.json("evaluation", { ...query, view: "calibration" });
      if (JSON.stringify(chosen) !== JSON.stringify(this.chosen())) return;
      const shown = JSON.stringify([this.pair, page.language]);
      if (this.calibrated?.answer === answer && this.calibrated.shown === shown) return;
      this.calibrated = { answer, shown };
      calibration.show(reliabilityChart(page, answer, this.pair));
    } catch (error) {
      this.calibrated = null;
      calibration.show(refusal(page, error));
    }
  }

  /** Show the images of a class, or of a cell of the confusion matrix. */
  filter(row, column) {
    const kinds = row === null ? "alarm,gone" : column === null ? "lost,gained" : "";
    const as = row !== null && column !== null && row !== column ? column : "";
    this.page.state.set({ class: row ?? column, as, kind: kinds });
    this.parts.gallery.go();
  }
}

/** A titled part of the tab. */
class Section {
  constructor(name) {
    this.name = name;
    this.heading = h("h2", { tabindex: "-1", id: `detection-${name}` });
    this.content = h("div");
    this.root = h("section", { class: `detection-${name}`, "aria-labelledby": `detection-${name}` }, this.heading, this.content);
  }

  title(page) {
    this.root.hidden = false;
    fill(this.heading, page.text(`detection.${this.name}`));
  }

  /** Replace the content; tables that were open stay so, and the focus stays where it was. */
  show(...content) {
    const all = (selector) => [...this.content.querySelectorAll(selector)];
    const open = all("details.behind").map((each) => each.open);
    const focus = all(FOCUSABLE).indexOf(document.activeElement);
    fill(this.content, content);
    for (const [index, each] of all("details.behind").entries()) each.open = Boolean(open[index]);
    if (focus >= 0) all(FOCUSABLE)[focus]?.focus({ preventScroll: true });
  }

  go() {
    this.heading.scrollIntoView({ block: "start" });
    this.heading.focus({ preventScroll: true });
  }
}
