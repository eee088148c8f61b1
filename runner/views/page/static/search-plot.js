// A chart of the Search tab on two canvases, the marks and what is emphasised above them; the same figure drawn as SVG.
//
// A figure is
//   height(width)                 of the whole chart, in px
//   draw(pen, size, look)         draws everything; size is {width, height}
//   focus(pen, size, look, id)    draws one trial above the others
//   nearest(x, y, size)           id of the trial that a place means; null for none
//   order                         ids in the order in which the arrow keys go through them
//   grab(x, y, size)              an axis that is dragged from there, or null; dragged(axis, x, y, size) → share of the axis (optional)
import { CanvasPen, SvgPen } from "./chart-draw.js";
import { xmlText } from "./chart-export.js";
import { h } from "./dom.js";
import { isPrinting } from "./theme.js";

const FONT = 'system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "WenQuanYi Micro Hei", sans-serif';
const ANCHOR = { left: "start", center: "middle", right: "end" };
const CLICK = 5; // px that a click may move
const HEAD = 36; // px for the title of an exported figure

/** Width of a text in px, estimated: the same on a canvas and in SVG. */
export function textWidth(text, size = 12) {
  return [...text].reduce((sum, letter) => sum + (letter.codePointAt(0) > 0x2e7f ? 1 : 0.56), 0) * size;
}

/** A text that is not wider than so many px. */
export function clipped(text, width, size = 12) {
  if (textWidth(text, size) <= width) return text;
  const letters = [...text];
  while (letters.length > 1 && textWidth(letters.join(""), size) + size > width) letters.pop();
  return `${letters.join("")}…`;
}

class ScreenPen extends CanvasPen {
  text(x, y, content, { color, align = "left", size = 12, bold = false }) {
    const { context, ratio } = this;
    context.globalAlpha = 1;
    context.fillStyle = color;
    context.font = `${bold ? "600 " : ""}${size * ratio}px ${FONT}`;
    context.textAlign = align;
    context.textBaseline = "middle";
    context.fillText(content, x * ratio, y * ratio);
  }
}

class FilePen extends SvgPen {
  text(x, y, content, { color, align = "left", size = 12, bold = false }) {
    const weight = bold ? ' font-weight="600"' : "";
    const place = `x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${ANCHOR[align]}" dominant-baseline="central"`;
    this.parts.push(`<text ${place} fill="${color}" font-size="${size}"${weight}>${xmlText(content)}</text>`);
  }
}

/** A figure as an SVG document. `words` has title, summary and the names of the trials in colour, [{name, color}]. */
export function figureSvg(figure, look, { title, summary, legend }) {
  const width = 960;
  const size = { width, height: figure.height(width) };
  const pen = new FilePen();
  figure.draw(pen, size, look);
  const columns = 3;
  legend.forEach(({ name, color }, index) => {
    const [x, y] = [24 + (index % columns) * ((width - 24) / columns), size.height + 12 + 20 * Math.floor(index / columns)];
    pen.begin();
    pen.disc(x, y, 4.5);
    pen.fill({ color, alpha: 1 });
    pen.text(x + 12, y, clipped(name, (width - 24) / columns - 24), { color: look.ink });
  });
  const height = size.height + HEAD + 20 * Math.ceil(legend.length / columns) + 8;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 ${-HEAD} ${width} ${height}"` +
      ' font-family="system-ui, sans-serif">',
    `<title>${xmlText(title)}</title><desc>${xmlText(summary)}</desc>`,
    `<rect y="${-HEAD}" width="100%" height="100%" fill="${look.paper}"/>`,
    `<text x="16" y="-12" font-size="16" font-weight="600" fill="${look.ink}">${xmlText(title)}</text>`,
    ...pen.parts,
    "</svg>",
  ].join("\n");
}

export class SearchPlot {
  /** @param {object} tab hover(id), click(id), pick(id), open(id), say(id), brush(axis, range) */
  constructor(tab) {
    this.tab = tab;
    this.layers = [h("canvas", { "aria-hidden": "true" }), h("canvas", { "aria-hidden": "true" })];
    this.image = h("div", { role: "img", class: "search-image" }, this.layers);
    this.root = h("div", { class: "search-plot", role: "group", tabindex: 0, onkeydown: (event) => this.pressed(event) }, this.image);
    const listen = (name, f) => this.root.addEventListener(name, f);
    listen("pointermove", (event) => this.moved(event));
    listen("pointerleave", () => this.tab.hover(null));
    listen("pointerdown", (event) => this.down(event));
    listen("pointerup", (event) => this.up(event));
    listen("pointercancel", () => this.release());
    listen("dblclick", (event) => this.act("open", event));
    listen("focus", () => this.emphasise());
    listen("blur", () => this.tab.hover(null));
    this.sizes = new ResizeObserver(() => isPrinting() || this.root.clientWidth === this.size?.width || this.draw());
    this.sizes.observe(this.root);
  }

  /** Say what is to be seen, and what the keys do. */
  name(summary, help) {
    this.root.setAttribute("aria-label", help);
    this.image.setAttribute("aria-label", summary);
  }

  show(figure, look) {
    Object.assign(this, { figure, look });
    this.draw();
  }

  draw() {
    const width = this.root.clientWidth;
    if (!this.figure || !width) return;
    this.size = { width, height: this.figure.height(width) };
    for (const layer of this.layers) {
      layer.width = Math.round(width * devicePixelRatio);
      layer.height = Math.round(this.size.height * devicePixelRatio);
    }
    this.image.style.setProperty("height", `${this.size.height}px`);
    this.figure.draw(this.pen(0), this.size, this.look);
    this.emphasise();
  }

  pen(layer) {
    return new ScreenPen(this.layers[layer].getContext("2d"), devicePixelRatio);
  }

  /** Draw the trial that is emphasised in all charts, and a drag. */
  emphasise() {
    if (!this.size) return;
    const pen = this.pen(1);
    pen.context.clearRect(0, 0, this.layers[1].width, this.layers[1].height);
    if (this.tab.hovered !== null) this.figure.focus(pen, this.size, this.look, this.tab.hovered);
    if (this.drag?.to !== undefined) this.figure.drag(pen, this.size, this.look, this.drag);
  }

  place(event) {
    const { left, top } = this.image.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  moved(event) {
    if (!this.size) return;
    const [x, y] = this.place(event);
    if (this.drag) {
      if (Math.hypot(x - this.drag.x, y - this.drag.y) >= CLICK) this.drag.to = this.figure.dragged(this.drag.axis, x, y, this.size);
      return this.emphasise();
    }
    this.root.classList.toggle("grab", Boolean(this.figure.grab?.(x, y, this.size)));
    this.tab.hover(this.figure.nearest(x, y, this.size));
  }

  down(event) {
    if (!this.size || event.button !== 0) return;
    const [x, y] = this.place(event);
    this.pressedAt = [x, y];
    const axis = this.figure.grab?.(x, y, this.size) ?? null;
    if (!axis) return;
    this.drag = { axis, x, y, from: this.figure.dragged(axis, x, y, this.size) };
    this.root.setPointerCapture(event.pointerId);
  }

  up(event) {
    const { drag, pressedAt } = this;
    this.release();
    if (!pressedAt || !this.size) return;
    if (drag) return drag.to === undefined ? this.tab.brush(drag.axis, null) : this.tab.brush(drag.axis, [drag.from, drag.to]);
    const [x, y] = this.place(event);
    if (Math.hypot(x - pressedAt[0], y - pressedAt[1]) < CLICK) this.act("click", event);
  }

  release() {
    this.drag = null;
    this.pressedAt = null;
    this.emphasise();
  }

  act(what, event) {
    const id = this.figure?.nearest(...this.place(event), this.size) ?? null;
    if (id !== null) this.tab[what](id);
  }

  pressed(event) {
    if (!this.figure?.order.length || event.target !== this.root || event.altKey || event.ctrlKey || event.metaKey) return;
    const { order } = this.figure;
    const at = order.indexOf(this.tab.hovered);
    const go = (to) => {
      this.tab.hover(order[Math.min(order.length - 1, Math.max(0, to))]);
      this.tab.say(this.tab.hovered);
    };
    const actions = {
      ArrowLeft: () => go(at < 0 ? order.length - 1 : at - 1),
      ArrowRight: () => go(at + 1),
      Home: () => go(0),
      End: () => go(order.length - 1),
      " ": () => at >= 0 && this.tab.pick(order[at]),
      Enter: () => at >= 0 && this.tab.open(order[at]),
      Escape: () => this.tab.hover(null),
    };
    if (!Object.hasOwn(actions, event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    actions[event.key]();
  }

  destroy() {
    this.sizes.disconnect();
  }
}
