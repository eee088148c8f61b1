// The heat map of a grid: the metric by the values of two keys. A table, so that it is read and walked through as one.
import { fill, h } from "./dom.js";
import { choices } from "./header.js";

const ALL = "all";

export class HeatMap {
  /** @param {object} tab click(id), pick(id), open(id) */
  constructor(page, tab) {
    Object.assign(this, { page, tab });
    this.head = h("div", { class: "card-head" });
    this.controls = h("div", { class: "search-pickers" });
    this.table = h("div", { class: "scrolled heat", tabindex: "0", role: "region" });
    this.note = h("p", { class: "small muted" });
    this.root = h("section", { class: "search-heat" }, this.head, this.controls, this.table, this.note);
    this.pickers = new Map();
  }

  show(model) {
    const { page } = this;
    const axes = model.axes.filter((axis) => valuesOf(axis).length > 1);
    this.root.hidden = axes.length < 2;
    if (this.root.hidden) return;
    const chosen = (key, other) => axes.find((axis) => axis.key === page.state.get(key) && axis !== other);
    const x = chosen("gx") ?? axes.find((axis) => axis.key !== page.state.get("gy"));
    const y = chosen("gy", x) ?? axes.find((axis) => axis !== x);
    const others = axes.filter((axis) => axis !== x && axis !== y);
    const at = this.fixed(model, others);
    fill(this.head, h("h2", {}, page.text("search.heat", { metric: model.tag })));
    this.pick(
      "gx",
      page.text("search.heat.columns"),
      axes.map((axis) => [axis.key, axis.short]),
      x.key,
      (key) => ({ gx: key, ...(key === y.key ? { gy: x.key } : {}) }),
    );
    this.pick(
      "gy",
      page.text("search.heat.rows"),
      axes.map((axis) => [axis.key, axis.short]),
      y.key,
      (key) => ({ gy: key, ...(key === x.key ? { gx: y.key } : {}) }),
    );
    for (const axis of others) this.pickOther(model, axis, others, at);
    const used = ["gx", "gy", ...others.map((axis) => `at ${axis.key}`)];
    for (const [name, { root }] of this.pickers) root.hidden = !used.includes(name);
    const cells = at ? this.single(model, x, y, others, at) : this.means(model, x, y, others);
    this.draw(model, x, y, cells);
    fill(this.note, page.text(at || !others.length ? "search.heat.reading" : "search.heat.mean"));
  }

  /** Place of each other key: those of the address; null: means over all of them. */
  fixed(model, others) {
    const given = new Map(this.page.state.list("at").map((part) => part.split(":").map(decodeURIComponent)));
    if (!others.length || !others.some((axis) => given.has(axis.key))) return null;
    return new Map(others.map((axis) => [axis.key, Math.min(valuesOf(axis).length - 1, Math.max(0, Number(given.get(axis.key)) || 0))]));
  }

  pick(name, label, options, value, changes) {
    const { page } = this;
    if (!this.pickers.has(name)) {
      const select = h("select", { onchange: () => page.state.set(this.pickers.get(name).changes(select.value)) });
      const picker = { select, text: h("span", {}), changes };
      picker.root = h("div", { class: "field" }, picker.text, select);
      this.pickers.set(name, picker);
      this.controls.append(picker.root);
    }
    const picker = this.pickers.get(name);
    picker.changes = changes;
    fill(picker.text, label);
    choices(picker.select, label, options, value);
  }

  pickOther(model, axis, others, at) {
    const values = valuesOf(axis).map((place, index) => [String(index), axis.label(place)]);
    const written = (index) =>
      others
        .map((other) => `${encodeURIComponent(other.key)}:${other === axis ? index : (at?.get(other.key) ?? bestIndex(model, other))}`)
        .join(",");
    const changes = (value) => ({ at: value === ALL ? "" : written(value) });
    this.pick(
      `at ${axis.key}`,
      axis.short,
      [[ALL, this.page.text("search.heat.all")], ...values],
      at ? String(at.get(axis.key)) : ALL,
      changes,
    );
  }

  /** The trial of each cell. */
  single(model, x, y, others, at) {
    const [ix, iy] = [model.axes.indexOf(x), model.axes.indexOf(y)];
    const here = (row) => others.every((axis) => row.places[model.axes.indexOf(axis)] === valuesOf(axis)[at.get(axis.key)]);
    const found = new Map();
    for (const row of model.rows.filter(here)) {
      const place = `${valuesOf(x).indexOf(row.places[ix])} ${valuesOf(y).indexOf(row.places[iy])}`;
      if (!found.has(place) || row.y !== null) found.set(place, { row, mean: row.y });
    }
    return found;
  }

  /** The mean of each cell, from Python; of two keys alone, its trial. */
  means(model, x, y, others) {
    if (!others.length) return this.single(model, x, y, [], null);
    const found = model.explored.cells.find(
      (cells) => cells.metric === model.tag && [cells.x, cells.y].includes(x.key) && [cells.x, cells.y].includes(y.key),
    );
    const turned = found?.x === y.key;
    return new Map(
      (found?.cells ?? []).map((cell) => [
        turned ? `${cell.y} ${cell.x}` : `${cell.x} ${cell.y}`,
        { mean: cell.mean, trials: cell.trials },
      ]),
    );
  }

  draw(model, x, y, cells) {
    const { page } = this;
    const means = [...cells.values()].map(({ mean }) => mean).filter((mean) => mean !== null);
    const [low, high] = [Math.min(...means), Math.max(...means)];
    const best = model.goal === "minimize" ? low : high;
    const strength = (mean) => (high > low ? (model.goal === "minimize" ? high - mean : mean - low) / (high - low) : 0);
    const cell = (ix, iy) => {
      const found = cells.get(`${ix} ${iy}`);
      if (!found) return h("td", { class: "number none" }, "–");
      if (found.mean === null) return h("td", { class: "number none" }, page.text(`state.${found.row.state}`));
      const isBest = model.goal && found.mean === best;
      const { row } = found;
      const below = row
        ? row.numbers.std === null
          ? `n ${row.numbers.n}`
          : `± ${page.number(row.numbers.std)}, n ${row.numbers.n}`
        : page.text("search.trials", { n: found.trials });
      const content = [
        h(
          "span",
          { class: "mean" },
          page.number(found.mean),
          isBest ? h("span", { class: "best" }, ` ◆ ${page.text("search.cell.best")}`) : null,
        ),
        h("span", { class: "below" }, below),
      ];
      const name = row ? page.trials.label(row.id) : "";
      const inside = row
        ? h(
            "button",
            {
              type: "button",
              "aria-pressed": String(row.pinned),
              "aria-label": `${name}: ${page.summary(row.numbers)}`,
              onclick: (event) => (event.detail ? this.tab.click(row.id) : this.tab.pick(row.id)),
              ondblclick: () => this.tab.open(row.id),
            },
            content,
          )
        : content;
      return h(
        "td",
        {
          class: `number${isBest ? " is-best" : ""}${row?.pinned ? " pinned" : ""}`,
          style: { "--heat": String(Math.round(100 * strength(found.mean))) },
        },
        inside,
      );
    };
    const label = page.text("search.heat.label", { metric: model.tag, x: x.short, y: y.short });
    this.table.setAttribute("aria-label", label);
    const focused = [...this.table.querySelectorAll("button")].indexOf(document.activeElement);
    const columns = valuesOf(x);
    const rows = valuesOf(y).map((place, iy) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, y.label(place)),
        columns.map((_, ix) => cell(ix, iy)),
      ),
    );
    const head = h(
      "tr",
      {},
      h("th", { scope: "col" }, `${y.short} \\ ${x.short}`),
      columns.map((place) => h("th", { scope: "col", class: "number" }, x.label(place))),
    );
    fill(this.table, h("table", {}, h("thead", {}, head), h("tbody", {}, rows)));
    if (focused >= 0) this.table.querySelectorAll("button")[focused]?.focus();
  }
}

function valuesOf(axis) {
  return axis.choices.length ? axis.choices.map((_, index) => index) : axis.values;
}

function bestIndex(model, axis) {
  const best = model.ranked[0] ?? model.all[0];
  return Math.max(0, valuesOf(axis).indexOf(best?.places[model.axes.indexOf(axis)]));
}
