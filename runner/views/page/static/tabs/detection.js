// Tab Detection: two trials as detectors. By class, what they find and miss in the images, curves, kinds of errors, confusion, calibration.
import { csvText, sourceNotes } from "../csv.js";
import { classTable, HeatMap } from "../detection-classes.js";
import { confusionMatrices } from "../detection-confusion.js";
import { errorTable, sizeTable } from "../detection-errors.js";
import {
  bestTable,
  calibrationTable,
  classesTable,
  confusionTable,
  curvesTable,
  errorsTable,
  heatTable,
  sizesTable,
} from "../detection-export.js";
import { curveGrid, reliabilityChart } from "../detection-planes.js";
import { fill, h, prose } from "../dom.js";
import { elementsSvg } from "../element-svg.js";
import { csvKind, exportMenu, figureKinds } from "../export-menu.js";
import { failure, refusal } from "../failure.js";
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
    this.others = h("p", { class: "small muted", hidden: true }); // how to get a pair that a file does not offer
    this.notes = h("div", { class: "sides-notes" });
    this.jumps = h("nav", { class: "jumps" });
    this.parts = Object.fromEntries(SECTIONS.map((name) => [name, new Section(name)]));
    this.heat = new HeatMap(page);
    this.gallery = new Gallery(page);
    this.parts.gallery.show(this.gallery.root);
    const head = [this.pickers, this.others, this.notes, this.jumps];
    this.root = h("div", { class: "detection" }, head, SECTIONS.map((name) => this.parts[name].root));
    this.all = { classes: false, curves: false };
  }

  unmount() {
    this.unmounted = true;
    this.gallery.unmount();
  }

  /** The chosen trials, {a, b}: those of the address, else the baseline that was picked and the trials that the part chooses itself. */
  chosen() {
    const { state, trials } = this.page;
    const [first, second] = [this.standard.a.trial, this.standard.b?.trial ?? ""];
    const given = (side) => (trials.byId.has(state.get(side)) ? state.get(side) : "");
    const base = state.get("base") && this.partners(trials.baseline().id).length ? trials.baseline().id : "";
    const a = given("a") || base || first;
    return { a, b: given("b") || (second !== a ? second : first !== a ? first : "") };
  }

  /** The query of a pair; empty for the one that the part chooses itself: a file has that, whatever it leaves out. */
  query({ a, b }) {
    const isStandard = a === this.standard.a.trial && b === (this.standard.b?.trial ?? "");
    return isStandard ? {} : { a, ...(b ? { b } : {}) };
  }

  /** Trials with which one can be compared as A: a file has some pairs only. */
  partners(a) {
    const { source, trials } = this.page;
    const others = this.standard.trials.filter((id) => id !== a && trials.byId.has(id));
    return source.frozen ? others.filter((b) => source.holds("evaluation", this.query({ a, b }))) : others;
  }

  async update() {
    const { page } = this;
    const standard = (this.standard = await page.source.json("evaluation", {}));
    const chosen = this.chosen();
    const query = this.query(chosen);
    let [answer, error] = [standard, null];
    try {
      answer = await page.source.json("evaluation", query);
    } catch (caught) {
      error = caught;
    }
    if (this.unmounted || JSON.stringify(chosen) !== JSON.stringify(this.chosen())) return; // another pair was chosen meanwhile
    this.answer = answer;
    this.pair = this.makePair(answer);
    this.showPickers(answer, chosen);
    for (const part of Object.values(this.parts)) part.root.hidden = Boolean(error);
    fill(this.notes, error ? refusal(page, error) : this.remarks(answer));
    this.drawn = error ? null : this.drawn;
    if (error) return this.gallery.unmount();
    this.draw();
    this.heat.update(this.heatQuery(), answer.trials.length);
    await Promise.all([this.gallery.update(query, this.pair), this.showCalibration(query, chosen)]);
  }

  makePair(answer) {
    const { trials } = this.page;
    const one = trials.color(answer.a.trial).css;
    const two = answer.b ? trials.color(answer.b.trial).css : one;
    return { a: { css: one, dash: answer.b ? DASH : null }, b: { css: two, dash: null } };
  }

  // ---------------------------------------------------------------------------------------------------------------- pair
  showPickers(answer, { a, b }) {
    const { page } = this;
    const known = answer.trials.filter((id) => page.trials.byId.has(id));
    const { frozen } = page.source;
    const offered = { a: known.filter((id) => id !== b && (id === a || !frozen || this.partners(id).length)), b: this.partners(a) };
    if (b && !offered.b.includes(b)) offered.b.push(b);
    this.shown = { a, b };
    for (const [side, select, value] of [["a", this.a, a], ["b", this.b, b]]) {
      choices(select, page.text(`detection.side.${side}`), offered[side].map((id) => [id, page.trials.label(id)]), value);
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
    this.pickers.hidden = known.length < 2;
    this.swap.hidden = !b || !this.partners(b).includes(a);
    this.others.hidden = !frozen || known.every((id) => this.partners(id).length + 1 === known.length);
    fill(this.others, prose(page.text("detection.others")));
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
    const { a, b } = { ...this.shown, [side]: id };
    const partners = this.partners(a);
    this.page.state.set({ a, b: partners.includes(b) ? b : (partners[0] ?? "") });
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
    const filter = (row, column) => this.filter(row, column);
    const classes = { order, sort, all: this.all.classes, showAll: more("classes"), filter: (name) => filter(name, name) };
    const curves = { all: this.all.curves, showAll: more("curves"), chosen: "" };
    const none = h("p", { class: "muted" }, page.text("detection.curves.none"));
    const views = {
      classes: (made) => classTable(page, answer, { ...made, ...classes }),
      curves: (made) => (answer.curves.length ? curveGrid(page, answer, { ...made, ...curves }) : none),
      errors: (made) => errorTable(page, answer, made),
      confusion: () => confusionMatrices(page, answer, filter),
      sizes: (made) => sizeTable(page, answer, made),
    };
    for (const [name, view] of Object.entries(views)) parts[name].show(view(options), name === "classes" ? this.heat.root : null);
    const offer = (name, is, ...kinds) => parts[name].offer(page, is ? [...this.figure(name, views[name]), ...kinds] : []);
    const csv = (make, kind) => csvKind(() => this.csv(make(answer)), kind);
    const heat = csvKind(() => this.heatCsv(), { text: "detection.export.heat", ending: "heat.csv" });
    offer("classes", true, csv(classesTable), ...(this.hasHeat() ? [heat] : []));
    offer("curves", answer.curves.length, csv(curvesTable), csv(bestTable, { text: "detection.export.best", ending: "best.csv" }));
    offer("errors", answer.errors.length, csv(errorsTable));
    offer("confusion", answer.confusion, csv(confusionTable));
    offer("sizes", answer.sizes.length, csv(sizesTable));
  }

  // ------------------------------------------------------------------------------------------------------------- exports
  /** The kinds of a section's figure: what `view` makes for the colours of the two sides, with their names below it. */
  figure(name, view) {
    const { page, answer } = this;
    const make = () => {
      const pair = this.makePair(answer);
      const sides = ["a", "b"].filter((side) => answer[side]);
      const key = (side) => h("span", { class: `side-key ${side}`, style: { color: pair[side].css } }, side.toUpperCase());
      const names = sides.map((side) => h("p", { class: "side-name" }, key(side), " ", page.trials.label(answer[side].trial)));
      return h("section", { class: `detection-${name}` }, names, view({ pair, provisional: this.isProvisional() }));
    };
    return figureKinds(() => elementsSvg(make, { scope: "detection", title: page.text(`detection.${name}`) }));
  }

  csv(table) {
    const { page, answer } = this;
    const sides = ["a", "b"].filter((side) => answer[side]);
    const named = sides.map((side) => [`${side}, trial ${page.trials.label(answer[side].trial)}`, answer[side].runs]);
    return csvText({ ...table, notes: [...sourceNotes(page, named), ...table.notes] });
  }

  heatQuery() {
    const { trial } = this.answer.a;
    return { view: "heat", ...(trial === this.standard.a.trial ? {} : { a: trial }) };
  }

  hasHeat() {
    return this.answer.trials.length > 2 && this.page.source.holds("evaluation", this.heatQuery());
  }

  async heatCsv() {
    const answer = await this.page.source.json("evaluation", this.heatQuery());
    return this.csv(heatTable(answer, (id) => this.page.trials.label(id)));
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
      const csv = csvKind(() => this.csv(calibrationTable(answer)));
      const figure = this.figure("calibration", ({ pair }) => reliabilityChart(page, answer, pair));
      calibration.offer(page, answer.a || answer.b ? [...figure, csv] : []);
    } catch (error) {
      this.calibrated = null;
      calibration.show(refusal(page, error));
      calibration.offer(page, []);
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
    this.tools = h("div", { class: "card-tools" });
    this.problem = h("div");
    this.content = h("div");
    const head = h("header", { class: "card-head" }, this.heading, this.tools);
    const attributes = { class: `detection-${name}`, "aria-labelledby": `detection-${name}` };
    this.root = h("section", attributes, head, this.problem, this.content);
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

  /** Offer what can be saved of it (see export-menu.js). */
  offer(page, kinds) {
    const failed = (error) => fill(this.problem, failure(page, error));
    const focused = this.tools.contains(document.activeElement);
    fill(this.problem);
    fill(this.tools, kinds.length ? exportMenu(page, () => this.heading.textContent, kinds, failed) : null);
    if (focused) this.tools.querySelector("summary")?.focus();
  }

  go() {
    this.heading.scrollIntoView({ block: "start" });
    this.heading.focus({ preventScroll: true });
  }
}
