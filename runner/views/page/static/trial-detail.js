// A trial beside the baseline: their curves, the classes and the images that changed most, and where to see more. Below its row on the
// Answer tab.
import { Cursor } from "./chart.js";
import { CurveCard } from "./curve-card.js";
import { fill, h } from "./dom.js";
import { allChanges, byImage, KINDS } from "./gallery-changes.js";
import { hasReport } from "./report.js";
import { inLightTheme, pageColors } from "./theme.js";

const MOST_CLASSES = 5;
const MOST_IMAGES = 6;
const SETTINGS = {
  x: "step",
  g: "",
  smoothing: 0,
  band: "minmax",
  members: false,
  ghosts: false,
  log: false,
  logX: false,
  logY: false,
  trim: false,
  table: false,
};

export class TrialDetail {
  constructor(page, id) {
    Object.assign(this, { page, id });
    this.curves = new PairCurves(page, id);
    this.classes = h("div", {});
    this.images = h("div", {});
    this.links = h("p", { class: "detail-links" });
    this.root = h("div", { class: "trial-detail" }, this.curves.root, this.classes, this.images, this.links);
  }

  async update() {
    await Promise.all([this.showLinks(), this.curves.update(), this.showClasses(), this.showImages()]);
  }

  destroy() {
    this.curves.destroy();
  }

  async showLinks() {
    const { page, id } = this;
    const { state, trials } = page;
    const detection = page.source.frozen ? (await this.ask("evaluation")) !== null : page.overview.detection;
    const signature = JSON.stringify([page.language, state.fragment(), page.overview.detection, trials.byId.get(id).runs]);
    if (signature === this.linked) return; // one of them may have the focus
    this.linked = signature;
    const link = (tab, changes, text) => h("a", { href: state.fragment({ tab, ...changes }) }, text);
    const pinned = [...new Set([...state.list("pin"), id])].join(",");
    const runs = trials.byId.get(id).runs.map((run) => link("run", { id: run }, String(trials.runs.get(run).seed)));
    fill(
      this.links,
      link("curves", { pin: pinned }, page.text("detail.curves")),
      detection ? link("detection", { a: trials.baseline().id, b: id }, page.text("detail.detection")) : null,
      runs.length ? h("span", {}, page.text("detail.runs"), " ", runs) : null,
      id === trials.baseline().id || !hasReport(page, trials.decides(), id)
        ? null
        : h("button", { type: "button", class: "quiet", onclick: () => state.set({ base: id, detail: "" }) }, page.text("detail.base")),
    );
  }

  /** What a part says of the pair; null where the runs have no evaluation, or a file does not hold this pair. */
  async ask(part) {
    const { page, id } = this;
    const a = page.trials.baseline().id;
    if (!page.overview.detection || id === a) return null;
    try {
      return await page.source.json(part, { a, b: id });
    } catch {
      const own = await page.source.json(part).catch(() => null); // the pair that the part chooses, which a file has
      return own?.a?.trial === a && own.b?.trial === id ? own : null;
    }
  }

  /** The classes whose AP differs most from the baseline's. */
  async showClasses() {
    const { page } = this;
    const found = ((await this.ask("evaluation"))?.classes ?? []).filter((row) => row.effect);
    found.sort((one, other) => Math.abs(other.effect.delta) - Math.abs(one.effect.delta));
    const rows = found
      .slice(0, MOST_CLASSES)
      .map(({ name, effect }) =>
        h(
          "li",
          {},
          h("span", { class: "class" }, name),
          h("span", {}, page.signed(effect.delta)),
          h("span", { class: "muted" }, page.range(effect.low, effect.high)),
        ),
      );
    fill(this.classes, rows.length ? [h("h3", {}, page.text("detail.classes")), h("ul", { class: "detail-classes" }, rows)] : null);
  }

  /** The images in which most has changed, by more than half of the seeds, with links to the gallery. */
  async showImages() {
    const { page } = this;
    const data = await this.ask("gallery");
    if (data === this.pictured && page.language === this.said) return;
    Object.assign(this, { pictured: data, said: page.language });
    const seeds = data?.truth ? Math.min(data.truth.a.found.length, data.truth.b.found.length) : 0;
    const changes = data?.truth && !data.reason ? allChanges(data, { score: data.score, steady: seeds > 1 }) : [];
    const items = byImage(changes, data?.alarm_weight)
      .slice(0, MOST_IMAGES)
      .map((entry) => this.picture(data.images[entry.image], entry));
    fill(this.images, items.length ? [h("h3", {}, page.text("detection.gallery")), h("ul", { class: "detail-images" }, items)] : null);
  }

  picture([image, name], { changes }) {
    const { page, id } = this;
    const counts = KINDS.map((kind) => [kind, changes.filter((each) => each.kind === kind).length]).filter(([, n]) => n);
    const said = counts.map(([kind, n]) => page.text(`gallery.kind.${kind}`, { n })).join(", ");
    const place = h("span", { class: "picture" });
    const absent = () => fill(place, h("span", { class: "small muted" }, name));
    page.source.image(image).then((address) => {
      if (address) fill(place, h("img", { src: address, alt: name, loading: "lazy", onerror: absent }));
      else absent();
    });
    const href = page.state.fragment({ tab: "detection", a: page.trials.baseline().id, b: id, img: image });
    return h("li", {}, h("a", { href }, place, h("span", { class: "small muted" }, said)));
  }
}

/** The charts of two trials. It is to its cards what the Curves tab is to those there. */
class PairCurves {
  plain = true;

  constructor(page, id) {
    Object.assign(this, { page, id, cursor: new Cursor(), cards: [], range: null, scales: new Map() });
    this.root = h("div", { class: "curve-cards" });
  }

  async update() {
    const { page } = this;
    const tags = new Set((await page.source.json("curves")).map(({ tag }) => tag));
    const wanted = [...new Set([page.trials.decides(), "train/loss"])].filter((tag) => tags.has(tag));
    if (wanted.join() !== this.wanted) {
      this.wanted = wanted.join();
      this.destroy();
      this.cards = wanted.map((tag) => new CurveCard(page, [tag], this));
      fill(
        this.root,
        this.cards.map((card) => card.root),
      );
    }
    for (const card of this.cards) card.approach(true);
  }

  destroy() {
    this.cards.forEach((card) => card.destroy());
  }

  pair() {
    return [...new Set([this.page.trials.baseline().id, this.id])];
  }

  settings(tags) {
    const { byId } = this.page.trials;
    const runs = this.pair().flatMap((id) => byId.get(id)?.runs ?? []);
    return { ...SETTINGS, zoom: this.range, values: this.scales.get(tags.join(",")) ?? null, runs };
  }

  line({ trial }) {
    const { trials } = this.page;
    if (!this.pair().includes(trial)) return null;
    const { css, dash } = trials.color(trial);
    return { color: css, dash, width: trial === trials.baseline().id ? 2.5 : 2, strong: true, name: trials.label(trial) };
  }

  isContext() {
    return false;
  }

  zoom(range) {
    this.range = range;
    this.cards.forEach((card) => card.update());
  }

  scale(tags, range) {
    this.scales.set(tags.join(","), range);
    this.cards.forEach((card) => card.update());
  }

  look() {
    return pageColors();
  }

  inLightTheme(f) {
    return inLightTheme(f);
  }

  others() {
    return [];
  }

  read() {}
}
