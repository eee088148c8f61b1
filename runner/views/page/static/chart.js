// A chart: axes, cursor and zoom by uPlot; lines, bands and marks by chart-draw.js. All charts of a page share the x axis and the cursor.

import { CanvasPen, drawContext, drawFocus, drawLines, positions } from "./chart-draw.js";
import { nearestIndex, occupied, valueRange, valuesAt } from "./chart-range.js";
import { h } from "./dom.js";
import { isPrinting } from "./theme.js";
import { tickLabels, ticks } from "./ticks.js";

/* global uPlot */

const FONT = '12px system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif';
const REACH = 24; // pixels between the pointer and the line it means

/** Where the cursor is, in all charts: `x` is null while it is outside; `frozen` while it stays where a click put it. */
export class Cursor {
  x = null;
  frozen = false;
  listeners = new Set();

  move(x, origin = null) {
    if (this.frozen) return;
    this.x = x;
    for (const f of this.listeners) f(origin);
  }

  freeze(frozen) {
    this.frozen = frozen;
    for (const f of this.listeners) f(null);
  }

  subscribe(f) {
    this.listeners.add(f);
    return () => this.listeners.delete(f);
  }
}

/** What a line stands for in hover.js: its trial; its group where the curves are grouped by a key. */
export function hoverKey({ trial, series }) {
  return series.kind === "group" ? series.id : (series.group ?? trial);
}

export class Chart {
  /**
   * @param {Cursor} cursor shared by the page's charts
   * @param {object} handlers functions: zoom(range or null) asks for another x range, scale(range or null) for another y range;
   *   moved() after the cursor or the focus moved; said() after the keyboard moved the cursor; pointed(line or null) after the pointer
   *   moved
   */
  constructor(cursor, handlers) {
    this.cursor = cursor;
    this.handlers = handlers;
    this.root = h(
      "div",
      { class: "curve-chart", role: "group", tabindex: 0, onkeydown: (event) => this.pressed(event) },
      h("div", { role: "img", class: "curve-image" }),
    );
    this.focused = null; // the line that is emphasised
    this.context = null; // grey lines as a picture, and what it was made for
    const sizes = new ResizeObserver(() => isPrinting() || this.resize()); // what is drawn while pages are laid out would be blank
    sizes.observe(this.root);
    const fit = () => this.resize();
    addEventListener("printing", fit);
    this.ends = [
      cursor.subscribe((origin) => this.follow(origin)),
      () => sizes.disconnect(),
      () => removeEventListener("printing", fit),
    ];
  }

  /**
   * Show a figure (see chart-draw.js). `axes` is {x: {low, high, log, kind}, whole: {low, high}, y: {low, high} or null for the range of
   * what is shown, log, trim, lang}; `look` has the colours ink, muted, rule, paper; `words` says what is to be seen (`summary`) and what
   * the keys do (`help`).
   */
  show(figure, axes, look, words) {
    const mode = `${axes.x.log} ${axes.x.kind} ${axes.log} ${axes.lang}`;
    if (this.plot && this.shown.mode !== mode) this.close();
    this.shown = { figure, axes, look, mode, used: occupied(figure) };
    this.root.setAttribute("aria-label", words.help);
    this.root.firstChild.setAttribute("aria-label", words.summary);
    this.context = null;
    this.focused = figure.lines.find(({ id }) => id === this.focused?.id) ?? null;
    this.paint();
  }

  paint() {
    const { axes } = this.shown;
    this.range = { x: axes.x, y: this.given() ?? this.fitting() };
    const data = [this.range.x, this.range.y].map(({ low, high }) => [low, high]);
    if (this.plot) this.plot.setData(data);
    else this.open(data);
  }

  /** The y range that was asked for; null where there is none, or a log axis has no place for it. */
  given() {
    const { y, log } = this.shown.axes;
    return y && !(log && y.low <= 0) ? { ...y, log } : null;
  }

  /** The y range of what is shown. */
  fitting() {
    const { figure, axes } = this.shown;
    return valueRange(figure, axes.x, axes);
  }

  open(data) {
    const { axes } = this.shown;
    const range = (key) => () => [this.range[key].low, this.range[key].high];
    const axis = (key, kind, log, space) => ({
      font: FONT,
      stroke: () => this.shown.look.muted,
      grid: { stroke: () => this.shown.look.rule, width: 1 },
      ticks: { stroke: () => this.shown.look.rule, width: 1, size: 4 },
      gap: 4,
      space,
      splits: (plot, _, low, high) =>
        ticks(low, high, Math.floor((key === "x" ? plot.bbox.width : plot.bbox.height) / uPlot.pxRatio / space), kind, log),
      filter: (plot, values) => values,
      values: (plot, values) => tickLabels(values, kind, log, axes.lang),
    });
    const options = {
      width: Math.max(80, this.root.clientWidth),
      height: Math.max(80, this.root.clientHeight),
      padding: [8, 24, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: 5 },
        bind: { mousedown: (plot, _, handle) => (event) => this.pressedButton(event, handle), dblclick: () => () => this.doubleClicked() },
      },
      scales: { x: { time: false, distr: axes.x.log ? 3 : 1, range: range("x") }, y: { distr: axes.log ? 3 : 1, range: range("y") } },
      axes: [
        { ...axis("x", axes.x.kind, axes.x.log, 80), size: axes.x.kind === "wall" ? 40 : 26 },
        {
          ...axis("y", "number", axes.log, 36),
          size: (plot, values) => 14 + Math.max(20, ...(values ?? []).map((text) => 7 * text.length)),
        },
      ],
      series: [{}, { scale: "y", paths: () => null, points: { show: false } }],
      hooks: {
        draw: [() => this.draw(), () => this.cursor.frozen && this.follow(null)], // what is frozen has its place on the new axis
        setSelect: [() => this.selected()],
        setCursor: [() => this.moved()],
        setSize: [() => this.sizeOverlay()],
      },
    };
    this.plot = new uPlot(options, data, this.root.firstChild);
    this.overlay = h("canvas", { class: "curve-overlay", "aria-hidden": "true" });
    this.plot.over.append(this.overlay);
    this.plot.over.addEventListener("click", (event) => this.clicked(event));
    this.plot.over.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    this.sizeOverlay();
  }

  close() {
    this.plot?.destroy();
    this.plot = null;
  }

  destroy() {
    this.ends.forEach((end) => end());
    this.close();
  }

  resize() {
    if (!this.plot || !this.root.clientWidth) return;
    const size = { width: this.root.clientWidth, height: this.root.clientHeight };
    if (size.width === this.plot.width && size.height === this.plot.height) return;
    this.context = null;
    this.plot.setSize(size);
  }

  /** The scale of the drawing area; of the overlay, whose origin is that area's corner, if `inner`. */
  scale(inner) {
    const { bbox } = this.plot;
    const ratio = uPlot.pxRatio;
    const corner = inner ? { left: 0, top: 0 } : { left: bbox.left / ratio, top: bbox.top / ratio };
    return { ...this.range, ...corner, width: bbox.width / ratio, height: bbox.height / ratio };
  }

  draw() {
    const { ctx, bbox } = this.plot;
    const { figure, look } = this.shown;
    ctx.save();
    if (figure.context.length) ctx.drawImage(this.contextLayer(), 0, 0);
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    drawLines(new CanvasPen(ctx, uPlot.pxRatio), figure, this.scale(false), look.paper);
    ctx.restore();
    this.drawOverlay();
  }

  /** The grey lines: up to thousands, so they are drawn once per scale. */
  contextLayer() {
    const { canvas } = this.plot.ctx;
    const key = JSON.stringify([this.range, canvas.width, canvas.height, this.shown.look.muted]);
    if (this.context?.key !== key) {
      const layer = h("canvas", { width: canvas.width, height: canvas.height });
      const context = layer.getContext("2d");
      const { left, top, width, height } = this.plot.bbox;
      context.rect(left, top, width, height);
      context.clip();
      drawContext(new CanvasPen(context, uPlot.pxRatio), this.shown.figure, this.scale(false), this.shown.look.muted);
      this.context = { key, layer };
    }
    return this.context.layer;
  }

  sizeOverlay() {
    if (!this.overlay) return;
    const { width, height } = this.plot.bbox;
    this.overlay.width = width;
    this.overlay.height = height;
    this.drawOverlay();
  }

  drawOverlay() {
    if (!this.overlay) return;
    const context = this.overlay.getContext("2d");
    context.clearRect(0, 0, this.overlay.width, this.overlay.height);
    const { figure, look } = this.shown;
    const pen = new CanvasPen(context, uPlot.pxRatio);
    const scale = this.scale(true);
    if (this.focused) drawFocus(pen, figure, this.focused, scale, look.paper);
    const index = this.index();
    if (index === null || !this.focused) return;
    const value = this.focused.ys[index];
    const { toX, toY } = positions(scale);
    pen.begin();
    pen.disc(toX(figure.xs[index]), toY(value), 4);
    if (Number.isFinite(value)) pen.fill({ color: this.focused.color, alpha: 1 });
  }

  /** Index of the values at the cursor; null while it is outside this chart. */
  index() {
    const { figure, used } = this.shown;
    const { x } = this.cursor;
    if (x === null || !used.length || x < this.range.x.low || x > this.range.x.high) return null;
    return nearestIndex(figure.xs, used, x);
  }

  /** Units of the x axis per pixel. */
  pixel() {
    return Math.abs(this.plot.posToVal(1, "x") - this.plot.posToVal(0, "x"));
  }

  /** The pointer has moved. */
  moved() {
    if (this.cursor.frozen) return;
    const { left, top } = this.plot.cursor;
    const inside = left >= 0 && this.shown.used.length > 0;
    const x = inside ? this.shown.figure.xs[nearestIndex(this.shown.figure.xs, this.shown.used, this.plot.posToVal(left, "x"))] : null;
    if (!inside) this.focused = null;
    this.cursor.move(x, this);
    if (inside) this.focused = this.lineAt(top);
    this.drawOverlay();
    this.handlers.moved();
    this.handlers.pointed(this.focused);
  }

  lineAt(top) {
    const index = this.index();
    if (index === null) return null;
    const { toY } = positions(this.scale(true));
    let [nearest, least] = [null, REACH];
    for (const { line, value } of valuesAt(this.shown.figure, index)) {
      const distance = Math.abs(toY(value) - top);
      if (distance < least) [nearest, least] = [line, distance];
    }
    return nearest;
  }

  /** Emphasise a line; null: none. */
  focus(id) {
    this.focused = this.shown?.figure.lines.find((line) => line.id === id) ?? null;
    this.drawOverlay();
  }

  /** Emphasise a line of what is pointed at (see `hoverKey`): the mean rather than one of its runs. */
  emphasise(key) {
    if (!this.plot || (this.focused && hoverKey(this.focused) === key)) return;
    this.focused = this.shown.figure.lines.findLast((line) => hoverKey(line) === key) ?? null;
    this.drawOverlay();
  }

  /** The shared cursor has moved, in this chart or another. */
  follow(origin) {
    if (!this.plot) return;
    this.plot.cursor._lock = this.cursor.frozen;
    if (origin !== this || this.cursor.frozen) {
      const index = this.index();
      const left = index === null ? -10 : this.plot.valToPos(this.shown.figure.xs[index], "x");
      this.plot.setCursor({ left, top: 0 }, false, false);
      this.drawOverlay();
    }
    this.handlers.moved();
  }

  pressedButton(event, handle) {
    this.pressedAt = [event.clientX, event.clientY];
    const { drag } = this.plot.cursor;
    [drag.x, drag.y] = [!event.shiftKey, event.shiftKey];
    this.plot.cursor._lock = false; // a frozen chart can be zoomed: uPlot drags nothing while it is locked
    handle(event);
    document.addEventListener("mouseup", () => this.cursor.frozen && this.follow(null), { once: true });
  }

  doubleClicked() {
    this.cursor.freeze(false);
    this.reset();
  }

  clicked(event) {
    const [x, y] = this.pressedAt ?? [event.clientX, event.clientY];
    if (Math.hypot(event.clientX - x, event.clientY - y) < 5) this.cursor.freeze(!this.cursor.frozen && this.cursor.x !== null);
  }

  /** A drag has ended. */
  selected() {
    const { left, top, width, height } = this.plot.select;
    if (width < 5 && height < 5) return;
    const value = (position, key) => this.plot.posToVal(position, key);
    const [low, high] = [value(top + height, "y"), value(top, "y")];
    const range = { low: value(left, "x"), high: value(left + width, "x") };
    const vertical = this.plot.cursor.drag.y;
    this.plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (vertical) this.handlers.scale({ low, high });
    else this.handlers.zoom(range);
  }

  reset() {
    if (this.shown.axes.y) this.handlers.scale(null);
    this.handlers.zoom(null);
  }

  /** Zoom the y axis by a factor around its middle, or the emphasised line's value at the cursor; out no further than to everything. */
  scaleValues(factor) {
    const { low, high, log } = this.range.y;
    const [to, from] = log ? [Math.log, Math.exp] : [Number, Number];
    const index = this.index();
    const value = index === null || !this.focused ? NaN : to(this.focused.ys[index]);
    const middle = value >= to(low) && value <= to(high) ? value : (to(low) + to(high)) / 2;
    const next = { low: from(middle - (middle - to(low)) * factor), high: from(middle + (to(high) - middle) * factor) };
    const whole = this.fitting();
    this.handlers.scale(factor > 1 && next.low <= whole.low && next.high >= whole.high ? null : next);
  }

  /** Move the y axis by a part of its length. */
  moveValues(part) {
    const { low, high, log } = this.range.y;
    const shift = log ? (high / low) ** part : part * (high - low);
    this.handlers.scale(log ? { low: low * shift, high: high * shift } : { low: low + shift, high: high + shift });
  }

  wheeled(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    this.scaleBy(event.deltaY > 0 ? 1.25 : 0.8, event.offsetX / (this.plot.bbox.width / uPlot.pxRatio));
  }

  /** Zoom by a factor, around a place of the x axis from 0 to 1; out no further than to everything. */
  scaleBy(factor, place) {
    const width = this.plot.bbox.width / uPlot.pxRatio;
    const edge = (fraction) => this.plot.posToVal(fraction * width, "x");
    const { whole } = this.shown.axes;
    let [low, high] = [edge(place - place * factor), edge(place + (1 - place) * factor)];
    if (factor > 1) [low, high] = [Math.max(low, whole.low), Math.min(high, whole.high)];
    const isPart = low < high && (low > whole.low || high < whole.high);
    this.handlers.zoom(factor < 1 || isPart ? { low, high } : null);
  }

  pressed(event) {
    if (!this.plot || event.target !== this.root || event.altKey || event.ctrlKey || event.metaKey) return;
    const actions = {
      ArrowLeft: () => this.step(event.shiftKey ? -10 : -1),
      ArrowRight: () => this.step(event.shiftKey ? 10 : 1),
      Home: () => this.step(-Infinity),
      End: () => this.step(Infinity),
      Enter: () => this.cursor.freeze(!this.cursor.frozen && this.cursor.x !== null),
      Escape: () => this.escape(),
      "+": () => this.scaleBy(0.5, this.place()),
      "-": () => this.scaleBy(2, this.place()),
      ArrowUp: () => (event.shiftKey ? this.moveValues(0.25) : this.scaleValues(0.5)),
      ArrowDown: () => (event.shiftKey ? this.moveValues(-0.25) : this.scaleValues(2)),
      0: () => this.reset(),
    };
    if (!Object.hasOwn(actions, event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    actions[event.key]();
  }

  escape() {
    this.cursor.freeze(false);
    this.cursor.move(null);
  }

  /** Place of the cursor on the x axis, from 0 to 1. */
  place() {
    const index = this.index();
    return index === null ? 0.5 : this.plot.valToPos(this.shown.figure.xs[index], "x") / (this.plot.bbox.width / uPlot.pxRatio);
  }

  step(count) {
    const { figure, used } = this.shown;
    const { x } = this.range;
    const inside = used.filter((index) => figure.xs[index] >= x.low && figure.xs[index] <= x.high);
    if (!inside.length) return;
    const now = this.index();
    const from = now === null ? (count > 0 ? -1 : inside.length) : inside.indexOf(now);
    const next = Math.min(inside.length - 1, Math.max(0, from + count));
    this.cursor.move(figure.xs[inside[next]]);
    this.handlers.said();
  }
}
