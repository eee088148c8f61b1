// Two trials class by class: a table whose first column of numbers is drawn, and on demand the map of all trials by class.
import { fill, h } from "./dom.js";
import { refusal } from "./failure.js";

const MOST_ROWS = 12;
export const SHAPES = { better: "▲", worse: "▼", open: "○" };
const PLOT = { y: 14, r: 4.5 };

/** Numbers of a side: {n, mean, std}. */
export const known = (summary) => summary && summary.n > 0;

/** The mark of a difference, as shape and word; grey while seeds are missing. */
export function judgement(page, row, provisional) {
  if (!row.means) {
    const single = known(row.a) && known(row.b);
    return h("span", { class: "muted" }, "– ", page.text(single && Math.min(row.a.n, row.b.n) < 2 ? "detection.one-seed" : "verdict.none"));
  }
  const name = provisional ? "open" : row.means;
  return h(
    "span",
    { class: `judged ${name}` },
    h("span", { "aria-hidden": "true" }, SHAPES[row.means]),
    " ",
    page.text(`verdict.${row.means}`),
  );
}

/** Δ and its interval, as two lines. */
export function deltaCell(page, row) {
  const { effect } = row;
  return [
    h("span", { class: "main" }, page.signed(effect?.delta)),
    h("span", { class: "sub" }, effect ? page.range(effect.low, effect.high) : ""),
  ];
}

/** A cell with a number, and its name where the headings are not shown. */
export const number = (page, name, text) => h("td", { class: `number ${name}`, "data-name": page.text(`detection.col.${name}`) }, text);

/** Position of a value in the drawn column. */
export const across = (value, low, high) => `${(100 * Math.min(1, Math.max(0, (value - low) / (high - low || 1)))).toFixed(2)}%`;

/** Both means on one line, with the single seeds below. `pair` is {a, b}: {css} of each side. */
export function dumbbell(row, pair, low, high) {
  const at = (value) => across(value, low, high);
  const ticks = (summary, side) => (known(summary) && summary.n > 1 ? summary.values.map((value) => h(
    "line",
    { x1: at(value), x2: at(value), y1: PLOT.y + 8, y2: PLOT.y + 13, stroke: pair[side].css },
  )) : null);
  const both = known(row.a) && known(row.b);
  return h(
    "svg",
    { "aria-hidden": "true" },
    h("line", { class: "rail", x1: "0", x2: "100%", y1: PLOT.y, y2: PLOT.y }),
    both ? h("line", { class: "span", x1: at(row.a.mean), x2: at(row.b.mean), y1: PLOT.y, y2: PLOT.y }) : null,
    ticks(row.a, "a"),
    ticks(row.b, "b"),
    known(row.a) ? h("circle", { class: "hollow", cx: at(row.a.mean), cy: PLOT.y, r: PLOT.r, stroke: pair.a.css }) : null,
    known(row.b) ? h("circle", { cx: at(row.b.mean), cy: PLOT.y, r: PLOT.r, fill: pair.b.css, stroke: pair.b.css }) : null,
  );
}

/** Headings of a table; `numbers` are right-aligned. */
export function heading(names, numbers = []) {
  return h("tr", {}, names.map((name, index) => h("th", { scope: "col", class: numbers.includes(index) ? "number" : null }, name)));
}

/**
 * The table by class.
 * @param {object} answer of the part `evaluation`
 * @param {{pair: object, provisional: boolean, order: string, all: boolean, filter: function(string), sort: function(string),
 *     showAll: function()}} options
 */
export function classTable(page, answer, { pair, provisional, order, all, filter, sort, showAll }) {
  const two = answer.b !== null;
  const sorted = [...answer.classes];
  const change = (row) => row.effect?.delta ?? 0;
  const standard = two && sorted.length > MOST_ROWS ? "change" : "class"; // of many classes the most interesting ones come first
  const by = order || standard;
  if (by === "change") sorted.sort((one, other) => Math.abs(change(other)) - Math.abs(change(one)));
  if (by === "worst") sorted.sort((one, other) => change(one) - change(other));
  const shown = all ? sorted : sorted.slice(0, MOST_ROWS);
  const cell = (name, ...content) => h("td", { class: name }, content);
  const row = (each, name, first = false) =>
    h(
      "tr",
      { class: `${first ? "total" : ""} ${provisional ? "open" : each.means ?? "none"}` },
      h("th", { scope: "row" }, name),
      cell("plot", dumbbell(each, pair, 0, 1)),
      number(page, "a", page.summary(each.a)),
      two ? number(page, "b", page.summary(each.b)) : null,
      two ? cell("number delta", deltaCell(page, each)) : null,
      two ? cell("judgement", judgement(page, each, provisional)) : null,
      number(page, "boxes", each.boxes === null || each.boxes === undefined ? "–" : String(each.boxes)),
    );
  const named = (each) => h(
    "button",
    {
      type: "button",
      class: "quiet class-name",
      title: page.text("detection.classes.filter", { name: each.name }),
      onclick: () => filter(each.name),
    },
    each.name,
  );
  const intervals = answer.joint > 1 ? "joint" : answer.joint === 1 ? "single" : "none";
  const names = ["class", "plot", "a", ...(two ? ["b", "delta", "judgement"] : []), "boxes"].map((id) => page.text(`detection.col.${id}`));
  const orders = ["class", "change", "worst"].map((value) => h(
    "button",
    { type: "button", class: "quiet", "aria-pressed": String(by === value), onclick: () => sort(value === standard ? "" : value) },
    page.text(`detection.order.${value}`),
  ));
  return [
    two ? h("p", { class: "orders small" }, h("span", { class: "muted" }, page.text("detection.order")), " ", orders) : null,
    h(
      "table",
      { class: "pairs-table" },
      h("caption", { class: "offscreen" }, page.text("detection.classes.caption")),
      h("thead", {}, heading(names, two ? [2, 3, 4, 6] : [2, 3])),
      h(
        "tbody",
        {},
        answer.total ? row(answer.total, page.text("detection.all"), true) : null,
        shown.map((each) => row(each, named(each))),
      ),
    ),
    shown.length < sorted.length ? h(
      "button",
      { type: "button", class: "quiet", onclick: showAll },
      page.text("detection.more", { n: sorted.length - shown.length }),
    ) : null,
    two ? h("p", { class: "small muted" }, page.text(`detection.classes.${intervals}`, { n: answer.joint })) : null,
  ];
}

/** The map of all trials by class, loaded when it is opened. */
export class HeatMap {
  constructor(page) {
    this.page = page;
    this.title = h("summary");
    this.content = h("div");
    this.root = h("details", { class: "class-heat", ontoggle: () => this.load() }, this.title, this.content);
  }

  update(query, trials) {
    fill(this.title, this.page.text("detection.heat", { n: trials }));
    this.root.hidden = trials < 3 || !this.page.source.holds("evaluation", query);
    const asked = JSON.stringify([
      query,
      this.page.overview.revision,
      this.page.language,
      this.page.state.get("hide"),
      this.page.state.get("f"),
    ]);
    if (asked === this.asked) return;
    this.asked = asked;
    this.query = query;
    this.loaded = "";
    this.load();
  }

  async load() {
    if (!this.root.open || this.loaded === this.asked) return;
    const asked = (this.loaded = this.asked);
    try {
      const answer = await this.page.source.json("evaluation", this.query);
      if (asked === this.asked) fill(this.content, this.table(answer));
    } catch (error) {
      fill(this.content, refusal(this.page, error));
    }
  }

  table(answer) {
    const { page } = this;
    const rows = answer.trials.filter(({ trial }) => page.trials.byId.has(trial) && page.trials.isVisible(trial));
    const most = Math.max(1e-9, ...rows.flatMap(({ cells }) => cells.map((cell) => Math.abs(cell?.delta ?? 0))));
    const body = rows.map(({ trial, cells }) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, page.trials.label(trial)),
        cells.map((cell) => {
          if (!cell) return h("td", { class: "number" }, "–");
          const share = Math.round((40 * Math.abs(cell.delta)) / most);
          const color = cell.delta > 0 ? "--better" : "--worse";
          const mark = cell.means === "better" || cell.means === "worse" ? `${SHAPES[cell.means]} ` : "";
          return h(
            "td",
            {
              class: "number",
              style: { background: `color-mix(in srgb, var(${color}) ${share}%, transparent)` },
              title: page.range(cell.low, cell.high),
            },
            mark,
            page.signed(cell.delta),
          );
        }),
      ),
    );
    const label = page.text("detection.heat.caption", { name: page.trials.label(answer.a) });
    const head = heading(
      [page.text("forest.trial"), page.text("detection.all"), ...answer.names],
      [1, ...answer.names.map((_, index) => index + 2)],
    );
    return [
      h(
        "div",
        { class: "scrolled", role: "region", tabindex: "0", "aria-label": label },
        h("table", { class: "heat-map" }, h("caption", { class: "small muted" }, label), h("thead", {}, head), h("tbody", {}, body)),
      ),
      answer.left_out ? h("p", { class: "small muted" }, page.text("detection.heat.left-out", { n: answer.left_out })) : null,
    ];
  }
}
