// The Curves tab: a chart per tag, the deciding metric first. What is shown is in the address; a chart is drawn when it comes within a
// screen.

import { Cursor } from "../chart.js";
import { CurveCard } from "../curve-card.js";
import { FROZEN } from "../curve-loader.js";
import { AXES, BANDS, CurveControls, SMOOTHING, hasLog } from "../curve-controls.js";
import { fill, h } from "../dom.js";
import { failure } from "../failure.js";
import { inLightTheme, pageColors } from "../theme.js";
import { DASHES, PALETTE } from "../trials.js";

const MOST_IN_COLOUR = 100;
const BEST_IN_COLOUR = 30; // where there are more trials than that
const NARROWEST = 1e-5; // part of the x axis

export const curvesTab = {
  id: "curves",
  keys: {
    tag: "", // tags of the chart that comes first, in one chart
    x: "step",
    s: "0", // smoothing
    band: "minmax", // minmax, std, interval or none
    members: "", // "1": the runs of each trial too
    ghosts: "", // "1": what a resumed run's later attempts superseded too
    log: "", // "x", "y" or "xy"
    logy: "", // tags of which the y axis is the other way
    trim: "", // "1": the y axis leaves out the lowest and highest percent
    zoom: "", // "from,to" of the x axis
    y: "", // "tags:low:high,…" of the y axes of charts
    top: "", // tags whose charts come first
    wide: "", // tags whose charts have the full width
    table: "", // tags whose values are shown as a table
    find: "", // words in the tags that are shown
    groups: "", // groups of tags that are unfolded
  },
  checks: {
    x: oneOf(AXES),
    s: oneOf(SMOOTHING.map(String)),
    band: oneOf(BANDS),
    members: oneOf(["1"]),
    ghosts: oneOf(["1"]),
    log: oneOf(["x", "y", "xy"]),
    trim: oneOf(["1"]),
    zoom: (value) => readZoom(value) !== null,
    y: (value) => value.split(",").every((item) => readScale(item) !== null),
  },
  help: [
    ["← →", "curves.key.move"],
    ["Enter", "curves.key.freeze"],
    ["+ − 0", "curves.key.zoom"],
    ["↑ ↓", "curves.key.values"],
    ["⇤⇥", "curves.key.drag"],
    ["Ctrl ⇅", "curves.key.wheel"],
  ],
  mount: (page) => new CurvesView(page),
};

function oneOf(values) {
  return (value) => values.includes(value);
}

/** The part of the x axis that the address asks for; null if it makes no sense. */
function readZoom(text) {
  const ends = text.split(",");
  const [low, high] = ends.map((end) => (end.trim() ? Number(end) : NaN));
  return ends.length === 2 && Number.isFinite(low) && Number.isFinite(high) && high - low > NARROWEST ? { low, high } : null;
}

/** The y range of a chart, {tags, low, high}, that an item of the address asks for; null if it makes no sense. */
function readScale(item) {
  const [, tags, ...ends] = /^(.+):([^:]+):([^:]+)$/s.exec(item) ?? [];
  const [low, high] = ends.map(Number);
  return Number.isFinite(low) && Number.isFinite(high) && high > low ? { tags: tags.replaceAll("%2C", ","), low, high } : null;
}

/** A number with no more digits than a range needs of its ends. */
function rounded(value, { low, high }) {
  const unit = 10 ** Math.floor(Math.log10((high - low) / 1000));
  return Number((Math.round(value / unit) * unit).toPrecision(12));
}

class CurvesView {
  constructor(page) {
    Object.assign(this, { page, cursor: new Cursor(), cards: new Map(), tags: [], order: "", densest: 0, ghosts: false });
    this.controls = new CurveControls(page, { showAll: () => this.page.state.set({ zoom: "", y: "" }) });
    this.status = h("p", { class: "muted", role: "status" });
    this.list = h("div", {});
    setTimeout(() => this.order || this.status.hasChildNodes() || fill(this.status, page.text("curves.loading")), 150);
    this.root = h("div", { class: "curves" }, this.controls.root, this.status, this.list);
    this.watch = new IntersectionObserver((entries) => this.seen(entries), { rootMargin: "100% 0px" });
  }

  async update() {
    this.chosen = chooseColours(this.page.trials);
    this.painted = new Map();
    try {
      this.tags = await this.page.source.json("curves");
    } catch (error) {
      fill(this.list, failure(this.page, error));
      this.order = "";
      return;
    }
    this.showControls();
    this.arrange();
    this.tell();
    for (const card of this.cards.values()) card.update();
  }

  unmount() {
    this.watch.disconnect();
    this.cards.forEach((card) => card.destroy());
  }

  seen(entries) {
    for (const { target, isIntersecting } of entries) this.cards.get(target.dataset.tag)?.approach(isIntersecting);
  }

  // ------------------------------------------------------------------------------------------------------------ arrangement
  /** Put the cards in their order; a card that is there already keeps its chart. */
  arrange() {
    const plan = arrangement(
      this.tags.map(({ tag }) => tag),
      this.page,
    );
    const order = JSON.stringify([plan, this.page.state.get("wide"), this.page.language]);
    if (order === this.order) return;
    this.order = order;
    const kept = new Map();
    const card = (tags, wide) => {
      const key = tags.join(",");
      const made = this.cards.get(key) ?? new CurveCard(this.page, tags, this);
      kept.set(key, made);
      made.root.classList.toggle("wide", wide);
      return made.root;
    };
    const wide = new Set(this.tagsIn("wide"));
    const single = (tag) => card([tag], wide.has(tag));
    const first = plan.first.map((tags) => card(tags, true));
    const groups = plan.groups.map(({ name, tags, open }) => {
      const body = h("div", { class: "curve-cards" }, open ? tags.map(single) : null);
      const count = this.page.text("curves.group", { name, count: tags.length });
      return h(
        "details",
        { class: "curve-group", open, "data-group": name, ontoggle: (event) => this.unfold(name, event.target.open) },
        h("summary", {}, count),
        body,
      );
    });
    fill(this.list, h("div", { class: "curve-cards" }, first), groups);
    for (const [key, old] of this.cards) {
      if (kept.get(key) === old) continue;
      this.watch.unobserve(old.root);
      old.destroy();
    }
    for (const [key, made] of kept) if (this.cards.get(key) !== made) this.watch.observe(made.root);
    this.cards = kept;
  }

  unfold(name, open) {
    if (this.tagsIn("groups").includes(name) !== open) this.setList("groups", name, open);
  }

  /** How much is shown, in a sentence. */
  tell() {
    const { text, trials } = this.page;
    const sentences = [];
    if (!this.tags.length) sentences.push(text("curves.none"));
    else if (!this.cards.size && this.page.state.get("find")) sentences.push(text("curves.unfound", { find: this.page.state.get("find") }));
    if (this.chosen.grey)
      sentences.push(
        text("curves.coloured", {
          shown: this.chosen.ids.size,
          all: trials.visible().length,
          best: BEST_IN_COLOUR,
          metric: trials.decides(),
        }),
      );
    if (this.frozen && this.tags.length) sentences.push(text("curves.axes-in-file"));
    const coarse = this.coarseStops();
    if (coarse.length) sentences.push(text("curves.coarse.stop", { stops: coarse }));
    fill(this.status, sentences.join(" "));
  }

  get frozen() {
    return this.page.source.frozen;
  }

  /** The key by which runs are grouped; empty: by trial, as a file has them unless its view has a key. */
  groupKey() {
    const g = this.page.state.get("g");
    return this.holds({ g }) ? g : "";
  }

  /** The x axis: that of the address, if there are curves over it. */
  axis() {
    const x = this.page.state.get("x");
    return this.holds({ x }) ? x : "step";
  }

  /** Whether there are curves over the axis `x`, or by the key `g`: a file has steps and trials, and what its view has. */
  holds({ x = "step", g = "" }) {
    const query = { ...(x === "step" ? {} : { x }), ...(g ? { g } : {}) };
    return !this.frozen || !this.tags.length || this.page.source.holds("curves", { tag: this.tags[0].tag, ...FROZEN, ...query });
  }

  /**
   * A card has its curves. In a file, the more points a bucket has, the fewer stops of the smoothing mean something; what was superseded
   * can be chosen where there is such a thing.
   */
  read(loader) {
    const densest = Math.max(this.densest, this.frozen ? loader.densest() : 0);
    const ghosts = this.ghosts || (!this.frozen && loader.hasGhosts());
    if (densest === this.densest && ghosts === this.ghosts) return;
    Object.assign(this, { densest, ghosts });
    this.showControls();
    this.tell();
  }

  showControls() {
    this.controls.update(this.tags, { coarse: this.coarseStops(), ghosts: this.ghosts, x: this.axis(), isHeld: (x) => this.holds({ x }) });
  }

  /** Stops of the smoothing that reach less than a bucket. */
  coarseStops() {
    return SMOOTHING.filter((stop) => stop > 0 && Math.log(0.5) / Math.log(stop) < this.densest);
  }

  // ------------------------------------------------------------------------------------------------- what the cards ask of the tab
  /** The settings of a card. */
  settings(tags) {
    const { state } = this.page;
    const tag = tags.join(",");
    const listed = (key) => this.tagsIn(key).includes(tag);
    const log = state.get("log");
    const x = this.axis();
    return {
      x,
      g: this.groupKey(),
      smoothing: Number(state.get("s")),
      band: state.get("band"),
      members: state.get("members") === "1",
      ghosts: state.get("ghosts") === "1" && !this.page.source.frozen,
      log: log.includes("y") !== listed("logy"),
      logY: log.includes("y") !== listed("logy"),
      logYHere: listed("logy"),
      logX: log.includes("x") && hasLog(x),
      trim: state.get("trim") === "1",
      zoom: readZoom(state.get("zoom")),
      values: state.list("y").map(readScale).find((range) => range?.tags === tag) ?? null,
      top: listed("top"),
      wide: listed("wide"),
      table: listed("table"),
    };
  }

  /** Tags in a key of the address; a comma in a tag is written %2C. */
  tagsIn(key) {
    return this.page.state.list(key).map((tag) => tag.replaceAll("%2C", ","));
  }

  setList(key, value, on) {
    const others = this.tagsIn(key).filter((tag) => tag !== value);
    this.page.state.set({ [key]: (on ? [...others, value] : others).map((tag) => tag.replaceAll(",", "%2C")).join(",") });
  }

  /** Zoom all charts; null shows everything. */
  zoom(range) {
    if (range && !(range.high - range.low > NARROWEST)) return;
    this.page.state.set({ zoom: range ? `${rounded(range.low, range)},${rounded(range.high, range)}` : "" });
  }

  /** Set the y range of the chart of some tags; null shows everything. */
  scale(tags, range) {
    const chart = tags.join(",");
    const others = this.page.state.list("y").filter((item) => readScale(item)?.tags !== chart);
    const own = range && `${chart.replaceAll(",", "%2C")}:${rounded(range.low, range)}:${rounded(range.high, range)}`;
    this.page.state.set({ y: [...others, ...(own && readScale(own) ? [own] : [])].join(",") });
  }

  /** Tags that a chart could show as well. */
  others(tags) {
    return this.tags.map(({ tag }) => tag).filter((tag) => !tags.includes(tag));
  }

  /** Show a tag in the chart of others, as the first chart; without a tag each has its own again. */
  overlay(tags, tag) {
    this.page.state.set({ tag: tag ? [...tags, tag].map((each) => each.replaceAll(",", "%2C")).join(",") : "" });
  }

  /** Name and look of a curve; null if it is not in colour, or not to be seen. */
  line(series) {
    const { trials } = this.page;
    const key = series.kind === "group" ? series.id : series.group;
    const byKey = this.groupKey() !== "" && key !== null;
    if (!byKey && !this.chosen.ids.has(series.trial)) return null;
    const place = byKey ? key : series.trial;
    if (!this.painted.has(place)) this.painted.set(place, byKey ? this.groupLook(place) : this.trialLook(series.trial));
    const look = this.painted.get(place);
    if (series.kind === "group") return byKey ? { ...look, name: this.groupName(series.value) } : look;
    const alone = !byKey && trials.byId.get(series.trial).runs.length === 1;
    return alone ? look : { ...look, name: trials.runs.get(series.id)?.name ?? series.id };
  }

  trialLook(id) {
    const { trials } = this.page;
    const { css, dash } = trials.color(id);
    const isBaseline = id === trials.baseline().id;
    const strong = isBaseline || this.page.state.list("pin").includes(id);
    return { color: css, dash, width: isBaseline ? 2.5 : strong ? 2 : 1.5, strong, name: trials.label(id) };
  }

  /** Look of a group by a key, g0, g1, … */
  groupLook(id) {
    const place = Number(id.slice(1));
    return {
      color: PALETTE[1 + (place % (PALETTE.length - 1))],
      dash: DASHES[Math.floor(place / (PALETTE.length - 1)) % DASHES.length],
      width: 1.5,
    };
  }

  groupName(value) {
    const { text, trials } = this.page;
    const key = this.groupKey();
    return value === null ? text("curves.others") : `${trials.shortKey(key)}=${this.page.value(value)}`;
  }

  isContext({ trial }) {
    return this.chosen.greyIds.has(trial);
  }

  look() {
    return pageColors();
  }

  /** Call f while the page has its light theme; nothing is painted in between. */
  inLightTheme(f) {
    this.painted = new Map();
    try {
      return inLightTheme(f);
    } finally {
      this.painted = new Map();
    }
  }
}

/** Trials in colour: all, or where they are many, the baseline, the pinned ones and the best by the deciding metric; the rest is grey. */
export function chooseColours(trials) {
  const shown = trials.visible();
  const ids = new Set();
  if (shown.length <= MOST_IN_COLOUR) shown.forEach(({ id }) => ids.add(id));
  else {
    const visible = new Set(shown.map(({ id }) => id));
    const add = ({ id }) => visible.has(id) && ids.size < MOST_IN_COLOUR && ids.add(id);
    [trials.baseline(), ...trials.pinned()].forEach(add);
    const metric = trials.decides();
    const sign = trials.goal === "minimize" ? 1 : -1;
    const value = ({ metrics }) => metrics[metric]?.mean ?? null;
    shown
      .filter((trial) => value(trial) !== null)
      .sort((a, b) => sign * (value(a) - value(b)))
      .slice(0, BEST_IN_COLOUR)
      .forEach(add);
  }
  const greyIds = new Set(shown.map(({ id }) => id).filter((id) => !ids.has(id)));
  return { ids, greyIds, grey: greyIds.size > 0 };
}

/** Which tags come first, each in a chart of its own or several in one, and the groups of the others. */
export function arrangement(tags, { state, trials }) {
  const decode = (key) =>
    state
      .list(key)
      .map((tag) => tag.replaceAll("%2C", ","))
      .filter((tag) => tags.includes(tag));
  const words = state.get("find").toLowerCase().split(/\s+/).filter(Boolean);
  const found = tags.filter((tag) => words.every((word) => tag.toLowerCase().includes(word)));
  const first = [
    decode("tag"),
    ...decode("top").map((tag) => [tag]),
    ...[trials.decides(), "train/loss"].filter((tag) => found.includes(tag)).map((tag) => [tag]),
  ];
  const taken = new Set();
  const unique = first.filter((each) => {
    const key = each.join(",");
    return each.length > 0 && !taken.has(key) && taken.add(key);
  });
  const groups = new Map();
  for (const tag of found) {
    if (taken.has(tag)) continue;
    const name = groupOf(tag);
    groups.set(name, [...(groups.get(name) ?? []), tag]);
  }
  const open = new Set(state.list("groups").map((name) => name.replaceAll("%2C", ",")));
  const sorted = [...groups].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
  return { first: unique, groups: sorted.map(([name, members]) => ({ name, tags: members, open: open.has(name) || words.length > 0 })) };
}

/** The group of a tag: what is before its last slash, and no more than two parts of it. */
function groupOf(tag) {
  const parts = tag.split("/");
  return parts.length === 1 ? tag : `${parts.slice(0, Math.min(2, parts.length - 1)).join("/")}/`;
}
