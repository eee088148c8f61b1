// The data of one chart: its tags over the whole x axis, and in detail where it is zoomed.

import { alignGrids, densest, parseCurves, smoothHere } from "./curves-data.js";

/** How a frozen file has its curves: FROZEN of parts/curves.py. */
export const FROZEN = { px: "400", bits: "11", members: "1" };
/** Significant digits that hold in a frozen file, after the rounding to its `bits`. */
export const FROZEN_DIGITS = 3;

export class CurveLoader {
  /** @param {object} source see source-http.js  @param {string[]} tags */
  constructor(source, tags) {
    Object.assign(this, { source, tags, parsed: new WeakMap(), whole: null, shown: null, latest: 0 });
  }

  /**
   * Load what `settings` {x, smoothing, g, members, runs, zoom} ask for into `shown`: answers on one grid, one per tag. `preview()` is
   * called when something that comes near is there already: the same curves, smoothed here, or not in detail.
   */
  async load(settings, preview) {
    const mine = ++this.latest;
    if (this.whole && this.whole.x === settings.x) {
      if (this.whole.smoothing !== settings.smoothing)
        this.keep(
          this.whole.answers.map((answer) => smoothHere(answer, settings.smoothing)),
          settings,
        );
      else this.keep(this.whole.answers, settings);
      preview();
    }
    const answers = await Promise.all(this.tags.map((tag) => this.ask(tag, settings, null)));
    if (mine !== this.latest) return;
    this.keep(answers, settings);
    if (!settings.zoom || this.source.frozen || answers.every(({ exact }) => exact)) return;
    preview();
    const detail = await Promise.all(this.tags.map((tag) => this.ask(tag, settings, settings.zoom)));
    if (mine === this.latest) this.shown = this.aligned(detail);
  }

  keep(answers, { x, smoothing }) {
    this.whole = { x, smoothing, answers };
    this.shown = this.aligned(answers);
  }

  aligned(answers) {
    const whole = {
      from: Math.min(...this.whole.answers.map(({ from }) => from)),
      to: Math.max(...this.whole.answers.map(({ to }) => to)),
      positive: Math.min(...this.whole.answers.map(({ xs }) => xs.find((x) => x > 0) ?? 1)), // where a log axis begins
    };
    return alignGrids(answers).map((answer) => ({ ...answer, whole }));
  }

  async ask(tag, settings, zoom) {
    const smoothing = this.source.frozen ? 0 : settings.smoothing;
    const query = { tag };
    if (this.source.frozen) Object.assign(query, FROZEN);
    if (settings.x !== "step") query.x = settings.x;
    if (settings.g) query.g = settings.g;
    if (settings.runs && !this.source.frozen) query.runs = settings.runs.join(",");
    if (settings.ghosts) query.ghosts = "1";
    if (smoothing > 0) query.s = String(smoothing);
    if (settings.members) query.members = "1"; // else a server leaves them out where they are many
    if (zoom) {
      const margin = (zoom.high - zoom.low) / 50; // so that lines leave the frame
      Object.assign(query, { from: String(zoom.low - margin), to: String(zoom.high + margin) });
    }
    const buffer = await this.source.binary("curves", query);
    if (!this.parsed.has(buffer)) this.parsed.set(buffer, parseCurves(buffer));
    const curves = this.parsed.get(buffer);
    return this.source.frozen && settings.smoothing > 0 ? smoothHere(curves, settings.smoothing) : curves;
  }

  /** Whether something of these curves was superseded. */
  hasGhosts() {
    return this.shown.some(({ superseded }) => superseded);
  }

  /** The most points that one bucket has. */
  densest() {
    return Math.max(...this.shown.map(densest));
  }
}
