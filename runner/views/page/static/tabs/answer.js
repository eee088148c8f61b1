// Tab Answer: what one would tell a colleague. Warnings, the sentences of the report, the differences, noise, cost, what is not counted.
import { commandBlock, shellWord } from "../copy.js";
import { csvText, sourceNotes } from "../csv.js";
import { fill, h, prose } from "../dom.js";
import { elementsSvg } from "../element-svg.js";
import { csvKind, exportMenu, figureKinds } from "../export-menu.js";
import { failure } from "../failure.js";
import { folders } from "../help.js";
import { askReport } from "../report.js";
import { TrialDetail } from "../trial-detail.js";
import { interactionTable, noiseCard, progressList, uncountedList } from "./answer-cards.js";
import { costChart, costPoints } from "./answer-cost.js";
import { costTable, differencesTable } from "./answer-export.js";
import { forest, forestTitle } from "./answer-forest.js";
import { searchAnswer } from "./answer-search.js";

/** Notes that a card of their own shows. */
const SHOWN_ELSEWHERE = new Set(["noise", "interaction"]);

const OPEN = ["running", "waiting", "interrupted"];

export const answerTab = { id: "answer", keys: { detail: "" }, mount: (page) => new AnswerView(page) };

class AnswerView {
  constructor(page) {
    this.page = page;
    this.root = h("div", { class: "answer" });
    this.all = false; // whether every row of a long table is shown
    this.warned = false; // whether the warnings are unfolded: they would push the answer out of sight
    setTimeout(() => this.root.hasChildNodes() || fill(this.root, skeleton(page)), 150);
  }

  async update() {
    const { page } = this;
    const asked = page.state.fragment();
    this.root.setAttribute("aria-busy", "true");
    try {
      const { answer, query, refused } = await askReport(page);
      if (asked !== page.state.fragment()) return; // another one was asked for meanwhile
      const { subject, problem, provisional, report } = answer;
      this.chooseDetail();
      const focused = document.activeElement;
      fill(this.root, refused ? otherReport(page, query, refused) : null, this.content(subject, problem, provisional, report));
      this.refocus(focused);
      page.hover.mark();
      if (this.detail?.root.isConnected) this.detail.update();
    } catch (error) {
      fill(this.root, failure(page, error), progressList(page));
    }
    this.root.setAttribute("aria-busy", "false");
  }

  content(subject, problem, provisional, report) {
    const { page } = this;
    if (!report && problem) return [lead(prose(page.text("answer.none", { problem }))), progressList(page)];
    if (!report) return [skeleton(page), progressList(page)];
    if (subject === "search")
      return [this.warnings(report), sentences(page, report.answer), searchAnswer(page, report), notes(page, report.notes)];
    return this.comparison(report, unfinished(page, provisional));
  }

  comparison(report, open) {
    const { page } = this;
    const images = report.notes.filter((note) => note.id.startsWith("images-"));
    const rest = report.notes.filter((note) => !SHOWN_ELSEWHERE.has(note.id) && !images.includes(note));
    const shown = { provisional: open && page.text("answer.provisional", open), all: this.all };
    this.compared = { report, shown };
    const showAll = () => {
      this.all = true;
      this.update();
    };
    const { differences, cost } = this.menus();
    const table = forest(page, report, { ...shown, showAll, detail: this.detail, toggle: (id) => this.toggle(id), tools: differences });
    return [
      this.warnings(report),
      sentences(page, report.answer, open, standIn(page, report)),
      images.length
        ? h(
            "section",
            { class: "aside" },
            images.map((note) => h("p", {}, page.sentence(note))),
          )
        : null,
      open ? progressList(page) : null,
      table,
      h("div", { class: "cards" }, costChart(page, report, cost), noiseCard(page, report)),
      interactionTable(page, report),
      uncountedList(page, report),
      notes(page, rest),
    ];
  }

  /** The menus of what can be saved of the comparison that is shown; an open one stays open while that changes. */
  menus() {
    const { page } = this;
    if (this.offered?.language === page.language) return this.offered;
    const name = (run) => page.trials.runs.get(run)?.name ?? run;
    const csv = (table) => csvText({ ...table, notes: [...sourceNotes(page, []), ...table.notes] });
    const figure = (title, make) => figureKinds(() => elementsSvg(make, { scope: "answer", title: title() }));
    const menu = (title, kinds) =>
      h("div", { class: "card-tools" }, exportMenu(page, title, kinds, (error) => this.root.prepend(failure(page, error))));
    const titles = [
      () => forestTitle(page, this.compared.report),
      () => page.text("cost.title", { metric: this.compared.report.metric }),
    ];
    const plain = { detail: null, toggle: () => {}, showAll: () => {}, tools: null };
    const costs = () => {
      const { points, front } = costPoints(page, this.compared.report);
      const unbeaten = new Set(front.map(({ trial }) => trial));
      return costTable(this.compared.report, points.map(({ trial }) => trial), unbeaten, name);
    };
    this.offered = {
      language: page.language,
      differences: menu(titles[0], [
        ...figure(titles[0], () => forest(page, this.compared.report, { ...this.compared.shown, ...plain })),
        csvKind(() => csv(differencesTable(this.compared.report, name))),
      ]),
      cost: menu(titles[1], [...figure(titles[1], () => costChart(page, this.compared.report)), csvKind(() => csv(costs()))]),
    };
    return this.offered;
  }

  /** The warnings, folded or not; folded, their number and the beginning of the first. */
  warnings({ warnings: found }) {
    const { page } = this;
    if (!found.length) return null;
    const ontoggle = (event) => {
      if (!page.printing && event.target.isConnected) this.warned = event.target.open;
    };
    const count = h("strong", {}, page.text("answer.warnings", { n: found.length }));
    return h(
      "details",
      { class: "warnings", open: this.warned || page.printing, ontoggle },
      h("summary", {}, count, h("span", { class: "first", "aria-hidden": "true" }, page.note(found[0]))),
      h(
        "ul",
        {},
        found.map((note) => h("li", {}, page.sentence(note))),
      ),
    );
  }

  /** Give the focus back to what had it, or to what stands in its place now. */
  refocus(focused) {
    if (focused === document.activeElement || focused === document.body) return;
    const same = (each) =>
      ["key", "ariaLabel", "textContent"].every((name) => (each.dataset[name] ?? each[name]) === (focused.dataset[name] ?? focused[name]));
    const found = focused.isConnected ? focused : [...this.root.querySelectorAll(focused.tagName)].find(same);
    found?.focus({ preventScroll: true });
  }

  /** The trial that is shown in detail, as the address says. */
  chooseDetail() {
    const { page } = this;
    const id = page.state.get("detail");
    if (id === (this.detail?.id ?? "")) return;
    this.detail?.destroy();
    this.detail = page.trials.byId.has(id) ? new TrialDetail(page, id) : null;
  }

  /** Show a trial in detail, which pins it, or no longer. */
  toggle(id) {
    const { state, trials } = this.page;
    const pins = state.list("pin");
    const isNew = id !== trials.baseline().id && !pins.includes(id);
    if (state.get("detail") === id) state.set({ detail: "" });
    else state.set({ detail: id, ...(isNew ? { pin: [...pins, id].join(",") } : {}) });
  }

  unmount() {
    this.detail?.destroy();
  }
}

/** Why the comparison that was picked is not shown: the server's reason; of a file, which holds one only, the command for it. */
function otherReport(page, { metric, against }, refused) {
  const { trials } = page;
  const number = against === undefined ? null : trials.byId.get(against).number;
  if (!page.source.frozen || number < 0) {
    return h("p", { class: "notice" }, page.text("answer.refused", { metric: trials.metric, message: refused.message }));
  }
  const options = [metric ? ["--metric", metric] : [], number === null ? [] : ["--against", String(number)]].flat();
  const command = ["runner", "compare", ...folders(page), ...options].map(shellWord).join(" ");
  return h("section", { class: "notice" }, h("p", {}, page.text("answer.other", { metric: trials.metric })), commandBlock(page, command));
}

/**
 * {ended, runs} while planned runs are missing: then every verdict is provisional, since the intervals of all trials are taken together.
 */
function unfinished(page, provisional) {
  if (!Object.keys(provisional).length) return null;
  const counts = page.overview.runs;
  const runs = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return { ended: runs - OPEN.reduce((sum, standing) => sum + (counts[standing] ?? 0), 0), runs };
}

/** A sentence where no baseline was run, so that another trial stands in for it. */
function standIn(page, report) {
  const [reference] = report.trials;
  const stands = report.against === null && reference.number !== 0 && report.trials.length > 1;
  return stands ? page.text("answer.stand-in", { label: reference.label }) : "";
}

function lead(content) {
  return h("p", { class: "lead" }, content);
}

/** The answer: its first sentence large, commands as blocks to copy. */
function sentences(page, found, open = null, more = "") {
  const blocks = [];
  let text = [];
  const end = () => {
    const between = page.language === "zh" ? "" : " ";
    if (text.length) blocks.push(h("p", {}, text.map((each, index) => [index ? between : "", each])));
    text = [];
  };
  for (const [index, note] of found.entries()) {
    if (note.id === "command") {
      end();
      blocks.push(commandBlock(page, note.text));
    } else if (index === 0) blocks.push(lead(page.sentence(note)));
    else text.push(page.sentence(note));
  }
  if (more) text.push(more);
  end();
  const badge = open ? h("p", { class: "badge" }, page.text("answer.provisional", open), " – ", page.text("answer.provisional.why")) : null;
  return h("section", { class: "sentences" }, h("h2", { class: "offscreen" }, page.text("answer")), badge, blocks);
}

function notes(page, found) {
  if (!found.length) return null;
  const items = found.map((note) => h("li", {}, page.sentence(note)));
  return h("section", { class: "notes" }, h("h2", {}, page.text("answer.notes")), h("ul", {}, items));
}

function skeleton(page) {
  const bars = [80, 60, 90, 90, 90].map((width) => h("div", { class: "bar", style: { width: `${width}%` } }));
  return h("div", { class: "skeleton", role: "status" }, h("p", { class: "muted" }, page.text("answer.computing")), bars);
}
