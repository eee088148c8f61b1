// The gallery: the images that changed most between two trials, with filters that need no server.
import { fill, h } from "./dom.js";
import { commandBlock } from "./copy.js";
import { refusal } from "./failure.js";
import { allChanges, byImage, filtered, KINDS, totals } from "./gallery-changes.js";
import { changedBoxes, hatches, MARKS, otherTruth, squareAround, Stage } from "./gallery-draw.js";
import { GalleryView } from "./gallery-view.js";
import { choices } from "./header.js";

const FIRST = 10;
const MORE = 20;
const MOST_NAMED = 3;
const IOUS = ["0.5", "0.75"];
const LEAST = 0.05; // lowest score of the slider, below which no detection counts as a false alarm

/** Keys of the address that belong to the gallery. */
export const GALLERY_KEYS = { score: "", iou: "0.5", class: "", as: "", size: "", kind: "", steady: "1", img: "" };

export class Gallery {
  constructor(page) {
    this.page = page;
    const { state } = page;
    const set = (key) => (event) => state.set({ [key]: event.target.value });
    this.fields = {
      score: h("input", { type: "range", min: LEAST, max: 0.95, step: 0.01, oninput: set("score") }),
      shown: h("output"),
      iou: h("select", { onchange: set("iou") }),
      class: h("select", { onchange: set("class") }),
      size: h("select", { onchange: set("size") }),
      steady: h("input", { type: "checkbox", onchange: (event) => state.set({ steady: event.target.checked ? "1" : "0" }) }),
    };
    this.labels = Object.fromEntries(["score", "iou", "class", "size", "steady"].map((name) => [name, h("span")]));
    const label = (name, ...controls) => h("label", { class: `gallery-${name}` }, this.labels[name], controls);
    const { fields } = this;
    this.kinds = h("div", { class: "gallery-kinds", role: "group" });
    this.controls = h(
      "div",
      { class: "gallery-controls" },
      label("score", fields.score, fields.shown),
      label("iou", fields.iou),
      label("class", fields.class),
      label("size", fields.size),
      h("label", { class: "gallery-steady" }, fields.steady, this.labels.steady),
    );
    this.notes = h("div", { class: "gallery-notes" });
    this.totals = h("p", { class: "gallery-totals", role: "status" });
    this.cards = h("ul", { class: "gallery-cards" });
    this.more = h("button", { type: "button", onclick: () => this.grow() });
    this.root = h("div", { class: "gallery" }, hatches(), this.controls, this.notes, this.totals, this.kinds, this.cards, this.more);
    this.most = FIRST;
    this.made = new Map(); // stages by the ids of their images, so that no image is loaded twice
    this.view = new GalleryView(
      page,
      { describe: (each) => this.describe(each), move: (by) => this.move(by), close: (id) => this.closed(id) },
    );
  }

  unmount() {
    this.view.close();
  }

  /** Ask for the pair's changes and show them. */
  async update(query, pair) {
    const { page } = this;
    this.pairQuery = query;
    const whole = this.query(page.state.get("iou"));
    const asked = JSON.stringify(whole);
    this.asked = asked;
    this.pair = pair;
    if (!this.data) this.hide(h("p", { class: "muted" }, page.text("gallery.loading")));
    try {
      const data = await page.source.json("gallery", whole);
      if (asked !== this.asked) return;
      this.data = data;
    } catch (error) {
      if (asked !== this.asked) return;
      this.data = null;
      this.hide(refusal(page, error));
      return;
    }
    this.draw();
  }

  /** The query of the pair, matched at an overlap. */
  query(iou) {
    return { ...this.pairQuery, ...(iou === IOUS[0] ? {} : { iou }) };
  }

  hide(...said) {
    for (const element of [this.controls, this.totals, this.kinds, this.cards, this.more]) element.hidden = true;
    fill(this.notes, said);
    this.view.close();
  }

  // -------------------------------------------------------------------------------------------------------------- choice
  /** The chosen score, overlap, filters. A class that the data do not have lets all pass. */
  chosen() {
    const { state } = this.page;
    const { data } = this;
    const score = Number(state.get("score"));
    return {
      score: score >= LEAST && score <= 0.95 ? score : data.score,
      steady: state.get("steady") === "1" && Math.min(data.truth.a.found.length, data.truth.b.found.length) > 1,
      label: data.classes.indexOf(state.get("class")),
      as: data.classes.indexOf(state.get("as")),
      size: state.get("size"),
      kinds: state.list("kind").filter((kind) => KINDS.includes(kind)),
    };
  }

  draw() {
    const { page, data } = this;
    const said = this.missing();
    if (data.reason) {
      this.hide(h("p", { class: "muted" }, page.text(`gallery.none.${data.reason}`, { problem: data.problem })), said);
      return;
    }
    const chosen = (this.selected = this.chosen());
    for (const element of [this.controls, this.totals, this.kinds, this.cards]) element.hidden = false;
    const cut = data.alarms.floor > LEAST && chosen.score < data.alarms.floor;
    const floor = cut ? h("p", { class: "small muted" }, page.text("gallery.floor", { floor: page.number(data.alarms.floor, 2) })) : null;
    const changes = allChanges(data, chosen);
    const counts = totals(data, changes, chosen);
    this.images = byImage(filtered(changes, chosen), data.alarm_weight);
    const isHeld = ({ image }) => page.source.holds("image", { id: data.images[image][0] });
    const bare = this.images.every(isHeld) ? null : h("p", { class: "small muted" }, page.text("gallery.boxes-only"));
    fill(this.notes, said, floor, bare);
    this.showControls(chosen, counts);
    this.showTotals(chosen, counts);
    this.showCards();
    this.showView();
  }

  /** Runs without predictions, and the commands that make these. */
  missing() {
    const { page, data } = this;
    const sides = [data.a, data.b].filter(Boolean);
    const runs = sides.flatMap((side) => side.missing).map((run) => page.trials.runs.get(run)?.name ?? run);
    if (!runs.length) return null;
    const commands = sides.flatMap((side) => side.commands);
    return h(
      "section",
      { class: "warnings" },
      h("p", { class: "small" }, page.text("gallery.missing", { n: runs.length, runs })),
      commands.map((command) => commandBlock(page, command)),
    );
  }

  showControls(chosen, counts) {
    const { page, fields, data } = this;
    for (const [name, element] of Object.entries(this.labels)) fill(element, page.text(`gallery.${name}`));
    const seeds = Math.min(data.truth.a.found.length, data.truth.b.found.length) > 1;
    if (fields.score !== document.activeElement || fields.score.value === "") fields.score.value = String(chosen.score);
    fill(fields.shown, `≥ ${page.number(chosen.score, 2)}`, chosen.score === data.score ? ` ${page.text("gallery.score.best")}` : "");
    fields.score.setAttribute("aria-valuetext", page.number(chosen.score, 2));
    const overlaps = IOUS.filter((iou) => iou === page.state.get("iou") || page.source.holds("gallery", this.query(iou)));
    choices(fields.iou, page.text("gallery.iou"), overlaps.map((iou) => [iou, Number(iou).toFixed(2)]), page.state.get("iou"));
    fields.iou.parentElement.hidden = overlaps.length < 2;
    choices(
      fields.class,
      page.text("gallery.class"),
      [["", page.text("gallery.any")], ...data.classes.map((name) => [name, name])],
      chosen.label < 0 ? "" : data.classes[chosen.label],
    );
    choices(
      fields.size,
      page.text("gallery.size"),
      ["", "s", "m", "l"].map((value) => [value, page.text(value ? `gallery.size.${value}` : "gallery.any")]),
      chosen.size,
    );
    fields.steady.checked = chosen.steady;
    fields.steady.disabled = !seeds;
    this.kinds.setAttribute("aria-label", page.text("gallery.kind"));
    const kind = (each) =>
      h(
        "button",
        {
          type: "button",
          class: `kind ${each}`,
          "aria-pressed": String(chosen.kinds.includes(each)),
          title: page.text(`gallery.kind.${each}.what`),
          onclick: () => this.toggle(each),
        },
        h("span", { class: "mark", "aria-hidden": "true" }, MARKS[each]),
        page.text(`gallery.kind.${each}`, { n: counts[each] }),
      );
    const as = chosen.as < 0 ? null : h(
      "button",
      { type: "button", onclick: () => page.state.set({ as: "" }) },
      page.text("gallery.as", { name: data.classes[chosen.as] }),
      " ×",
    );
    const focus = this.kinds.contains(document.activeElement) ? [...this.kinds.children].indexOf(document.activeElement) : -1;
    fill(this.kinds, KINDS.map(kind), as);
    if (focus >= 0) this.kinds.children[focus]?.focus();
  }

  toggle(kind) {
    const kinds = this.page.state.list("kind");
    this.page.state.set({ kind: (kinds.includes(kind) ? kinds.filter((each) => each !== kind) : [...kinds, kind]).join(",") });
  }

  showTotals(chosen, counts) {
    const { page } = this;
    const values = { ...counts, score: page.number(chosen.score, 2), alarms: counts.alarm };
    fill(
      this.totals,
      h("strong", {}, page.text("gallery.totals", values)),
      " ",
      page.text("gallery.totals.alarms", values),
      chosen.steady ? ` ${page.text("gallery.totals.steady")}` : "",
    );
  }

  /** "lost: short, found by 3 of 3 seeds in A, by 0 of 3 in B; taken for spur". */
  describe(each) {
    const { page, data } = this;
    const values = {
      name: data.classes[each.label],
      a: each.a,
      b: each.b,
      na: data.truth.a.found.length,
      nb: data.truth.b.found.length,
      as: each.as < 0 ? "" : data.classes[each.as],
    };
    return page.text(`gallery.change.${each.kind}`, values);
  }

  // --------------------------------------------------------------------------------------------------------------- cards
  showCards() {
    const { page, images, cards } = this;
    const shown = images.slice(0, this.most);
    const signature = JSON.stringify([page.language, shown.map(({ image, changes }) => [image, changes])]);
    if (signature !== this.carded || this.data !== this.cardedData) {
      const focused = this.back ?? (cards.contains(document.activeElement) ? document.activeElement.dataset.image : null);
      fill(cards, shown.length ? shown.map((entry) => this.card(entry)) : this.nothing());
      if (focused && !page.state.get("img")) this.cardOf(focused)?.focus({ preventScroll: true });
    }
    [this.carded, this.cardedData] = [signature, this.data];
    if (this.back && !page.state.get("img")) {
      this.cardOf(this.back)?.focus();
      this.back = null;
    }
    this.more.hidden = images.length <= shown.length;
    fill(this.more, page.text("gallery.more", { n: images.length - shown.length }));
  }

  /** The button of an image's card. */
  cardOf(id) {
    return this.cards.querySelector(`[data-image="${id}"]`);
  }

  nothing() {
    const { page } = this;
    const clear = () => page.state.set({ class: "", as: "", size: "", kind: "", steady: "0" });
    const button = h("button", { type: "button", class: "quiet", onclick: clear }, page.text("gallery.all"));
    return h("li", { class: "empty" }, page.text("gallery.empty"), " ", button);
  }

  grow() {
    const first = this.most;
    this.most += MORE;
    this.showCards();
    this.cards.children[first]?.querySelector("button").focus();
  }

  card(entry) {
    const { page, data } = this;
    const [id, name, width, height] = data.images[entry.image];
    const stage = this.made.get(id) ?? new Stage(page, data.images[entry.image]);
    this.made.set(id, stage);
    const size = [width, height];
    const order = entry.changes;
    stage.draw(otherTruth(data, entry.image, size, order), changedBoxes(order, size, (each) => this.describe(each)));
    stage.show(squareAround(order.map((each) => each.box), size));
    const lines = order.slice(0, MOST_NAMED).map((each) => h(
      "span",
      { class: `change ${each.kind}` },
      h("span", { class: "mark", "aria-hidden": "true" }, MARKS[each.kind]),
      " ",
      this.short(each),
    ));
    const rest = order.length - lines.length;
    const label = page.text(
      "gallery.card",
      { name, n: order.length, changes: order.slice(0, MOST_NAMED).map((each) => this.describe(each)) },
    );
    const open = () => page.state.set({ img: id }, { opens: true });
    return h(
      "li",
      { class: "gallery-card" },
      h(
        "button",
        { type: "button", "aria-label": label, "data-image": id, onclick: open },
        stage.root,
        h("span", { class: "name" }, name),
        lines,
        rest > 0 ? h("span", { class: "muted" }, page.text("gallery.more-changes", { n: rest })) : null,
      ),
    );
  }

  /** "short 3/3 → 0/3": how many seeds find it on each side. */
  short(each) {
    const { data } = this;
    const name = data.classes[each.label];
    const taken = each.as >= 0 && each.kind !== "gained";
    const what = taken ? this.page.text("gallery.taken", { name, as: data.classes[each.as] }) : name;
    return `${what} ${each.a}/${data.truth.a.found.length} → ${each.b}/${data.truth.b.found.length}`;
  }

  // ------------------------------------------------------------------------------------------------------------ big view
  /** The large view was closed: go back to the card of its image. */
  closed(id) {
    if (!this.page.state.get("img")) return this.cardOf(id)?.focus(); // Back has closed it
    this.back = id;
    this.page.state.close({ img: "" });
  }

  showView() {
    const id = this.page.state.get("img");
    const place = this.images.findIndex((entry) => this.data.images[entry.image][0] === id);
    if (!id) return this.view.close();
    if (place >= 0) return this.view.show({
      data: this.data,
      entry: this.images[place],
      place,
      of: this.images.length,
      pair: this.pair,
      score: this.selected.score,
    });
    const image = this.data.images.findIndex(([each]) => each === id);
    if (image < 0) return this.view.close();
    this.view.show({
      data: this.data,
      entry: { image, changes: [] },
      place: -1,
      of: this.images.length,
      pair: this.pair,
      score: this.selected.score,
    });
  }

  /** Open the next image in the gallery's order. */
  move(by) {
    const id = this.page.state.get("img");
    const place = this.images.findIndex((entry) => this.data.images[entry.image][0] === id);
    const next = this.images[place + by];
    if (!next) return;
    this.most = Math.max(this.most, place + by + 1);
    this.page.state.set({ img: this.data.images[next.image][0] });
  }
}
