// One image of the gallery, large: both sides beside each other with one zoom, or one at a time.
import { fill, h } from "./dom.js";
import { changeKey, MARKS, sideBoxes, Stage, truthBoxes } from "./gallery-draw.js";

const MOST_ZOOM = 8;
const STEP = 1.25;
const SHARP = 3; // pixels of the screen per pixel of the image from which on these are drawn as squares
const PAN = 0.1;

export class GalleryView {
  /** @param {{describe: function(object): string, move: function(number), close: function(string)}} actions */
  constructor(page, actions) {
    this.page = page;
    this.actions = actions;
    this.shown = { truth: true, a: true, b: true };
    this.single = false;
    this.flicker = false;
    this.zoom = 1;
    this.dialog = null;
    this.picked = null;
  }

  /** Show an image, opening the view if it is closed. */
  show(content) {
    const id = content.data.images[content.entry.image][0];
    const other = id !== this.id;
    this.content = content;
    this.id = id;
    if (!this.dialog) this.open();
    if (other) {
      this.stages = Object.fromEntries(["a", "b"].map((side) => [
        side,
        new Stage(this.page, content.data.images[content.entry.image], { whole: true }),
      ]));
      this.reset();
    }
    this.draw();
  }

  open() {
    const { page } = this;
    this.head = h("div", { class: "view-head" });
    this.tools = h("div", { class: "view-tools", role: "toolbar" });
    this.pictures = h("div", { class: "view-pictures" });
    this.list = h("ul", { class: "view-changes" });
    this.keys = h("p", { class: "small muted" });
    this.dialog = h(
      "dialog",
      { class: "gallery-view", "aria-label": page.text("gallery.view") },
      this.head,
      this.tools,
      h("div", { class: "view-body" }, this.pictures, h("div", { class: "view-side" }, this.list, this.keys)),
    );
    this.dialog.addEventListener("close", () => this.closed());
    this.dialog.addEventListener("keydown", (event) => this.key(event));
    this.dialog.addEventListener("keyup", (event) => this.release(event));
    this.pictures.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.pictures.addEventListener("pointerdown", (event) => this.drag(event));
    document.querySelector("main").append(this.dialog);
    this.dialog.showModal();
    this.watcher = new ResizeObserver(() => this.place());
    this.watcher.observe(this.pictures);
  }

  close() {
    this.dialog?.close();
  }

  closed() {
    const { id } = this;
    this.watcher.disconnect();
    this.dialog.remove();
    this.dialog = null;
    this.id = null;
    this.actions.close(id);
  }

  // ------------------------------------------------------------------------------------------------------------- content
  draw() {
    const { page, content } = this;
    const { data, entry, place, of } = content;
    const [, name, width, height] = data.images[entry.image];
    const button = (text, label, onclick, attributes = {}) => h(
      "button",
      { type: "button", "aria-label": label, title: label, onclick, ...attributes },
      text,
    );
    const say = (key, values) => page.text(`gallery.view.${key}`, values);
    const focus = this.tools.contains(document.activeElement) ? [...this.tools.children].indexOf(document.activeElement) : -1;
    fill(
      this.head,
      h("h2", {}, name),
      h("span", { class: "muted small" }, place >= 0 ? say("place", { place: place + 1, of }) : "", ` ${width} × ${height}`),
      button("×", page.text("close"), () => this.close(), { class: "round" }),
    );
    this.tools.setAttribute("aria-label", say("tools"));
    const toggle = (key, letter) => button(
      letter,
      say(`toggle.${key}`),
      () => this.toggle(key),
      { "aria-pressed": String(this.shown[key]), class: "letter" },
    );
    fill(
      this.tools,
      button("‹ K", say("previous"), () => this.actions.move(-1), { disabled: place <= 0 }),
      button("J ›", say("next"), () => this.actions.move(1), { disabled: place < 0 || place + 1 >= of }),
      button(say("single"), say("single.what"), () => this.switchLayout(), { "aria-pressed": String(this.single) }),
      toggle("truth", "T"),
      toggle("a", "A"),
      toggle("b", "B"),
      button("−", say("out"), () => this.zoomBy(1 / STEP)),
      h("output", { class: "small" }, `${page.number(this.zoom, 1)}×`),
      button("+", say("in"), () => this.zoomBy(STEP)),
      button("0", say("fit"), () => this.fit()),
    );
    if (focus >= 0) this.tools.children[focus]?.focus();
    this.drawPictures();
    const items = entry.changes.map((each) => {
      const pick = () => this.pick(changeKey(each));
      const leave = () => this.pick(null);
      const actions = { onclick: () => this.look(each.box), onfocus: pick, onmouseenter: pick, onblur: leave, onmouseleave: leave };
      const mark = h("span", { class: "mark", "aria-hidden": "true" }, MARKS[each.kind]);
      return h("li", {}, h("button", { type: "button", class: `change ${each.kind}`, ...actions }, mark, " ", this.actions.describe(each)));
    });
    const signature = JSON.stringify([page.language, this.id, entry.changes.map((each) => [each.kind, each.index, each.a, each.b])]);
    if (signature !== this.listed) fill(this.list, items.length ? items : h("li", { class: "muted" }, say("unchanged")));
    this.listed = signature;
    fill(this.keys, say("keys"));
  }

  drawPictures() {
    const { page, content, stages } = this;
    const { data, entry, pair } = content;
    const sides = this.single ? [this.flicker ? "b" : "a"] : ["a", "b"];
    const figure = (side) => h(
      "figure",
      {},
      h(
        "figcaption",
        { class: "small" },
        h("span", { class: `side-key ${side}`, style: { color: pair[side].css } }, side.toUpperCase()),
        " ",
        page.trials.label(data[side].trial),
      ),
      stages[side].root,
    );
    const signature = JSON.stringify([this.id, sides, page.language]);
    if (signature !== this.pictured) fill(this.pictures, sides.map(figure));
    this.pictured = signature;
    this.place();
    const size = data.images[entry.image].slice(2);
    for (const side of sides) {
      const scale = (stages[side].root.clientWidth || 1) / this.side();
      const options = { changes: entry.changes, describe: this.actions.describe, text: page.text, scale };
      const boxes = this.shown[side] ? sideBoxes(data, entry.image, size, side, content.score, options) : null;
      stages[side].draw(this.shown.truth ? truthBoxes(data, entry.image, size) : null, boxes);
    }
    this.pick(this.picked);
  }

  /** Make the boxes of a change stand out. */
  pick(key) {
    this.picked = key;
    for (const box of this.pictures.querySelectorAll(".box")) box.classList.toggle("picked", key !== null && box.dataset.change === key);
  }

  toggle(key) {
    this.shown[key] = !this.shown[key];
    this.draw();
  }

  switchLayout() {
    this.single = !this.single;
    this.flicker = false;
    this.draw();
  }

  // ---------------------------------------------------------------------------------------------------------------- zoom
  reset() {
    const [width, height] = this.content.data.images[this.content.entry.image].slice(2);
    this.zoom = 1;
    this.middle = [width / 2, height / 2];
    this.pictured = null;
    this.listed = null;
    this.picked = null;
  }

  fit() {
    this.reset();
    this.draw();
  }

  /** Side in pixels of the image that is in view. */
  side() {
    return Math.max(...this.content.data.images[this.content.entry.image].slice(2)) / this.zoom;
  }

  /** Lay out the stages for the present zoom and place. */
  place() {
    if (!this.dialog) return;
    const size = this.content.data.images[this.content.entry.image].slice(2);
    const side = this.side();
    this.middle = this.middle.map((value, axis) => (side >= size[axis] ? size[axis] / 2 : Math.min(
      Math.max(value, side / 2),
      size[axis] - side / 2,
    )));
    for (const stage of Object.values(this.stages)) {
      stage.show({ x: this.middle[0] - side / 2, y: this.middle[1] - side / 2, side });
      stage.sharp((stage.root.clientWidth || 0) / side > SHARP);
    }
  }

  zoomBy(factor, at = this.middle) {
    const before = this.zoom;
    this.zoom = Math.min(MOST_ZOOM, Math.max(1, this.zoom * factor));
    if (Math.abs(this.zoom - 1) < 0.01) this.zoom = 1;
    const change = before / this.zoom;
    this.middle = this.middle.map((value, axis) => at[axis] + (value - at[axis]) * change);
    this.draw();
  }

  pan(x, y) {
    const side = this.side();
    this.middle = [this.middle[0] + x * side, this.middle[1] + y * side];
    this.place();
  }

  /** Bring a box into the middle, large. */
  look([x, y, width, height]) {
    const whole = Math.max(...this.content.data.images[this.content.entry.image].slice(2));
    this.zoom = Math.min(MOST_ZOOM, Math.max(1, whole / (2.5 * Math.max(width, height, 1))));
    this.middle = [x + width / 2, y + height / 2];
    this.draw();
  }

  /** Place in the image, in pixels, of a pointer. */
  pointAt(event) {
    const stage = event.target.closest(".stage");
    if (!stage) return this.middle;
    const area = stage.getBoundingClientRect();
    const side = this.side();
    return [
      this.middle[0] + ((event.clientX - area.left) / area.width - 0.5) * side,
      this.middle[1] + ((event.clientY - area.top) / area.height - 0.5) * side,
    ];
  }

  wheel(event) {
    event.preventDefault();
    this.zoomBy(event.deltaY < 0 ? STEP : 1 / STEP, this.pointAt(event));
  }

  drag(event) {
    const stage = event.target.closest(".stage");
    if (!stage || event.button !== 0) return;
    event.preventDefault();
    const width = stage.getBoundingClientRect().width;
    let last = [event.clientX, event.clientY];
    const move = (moved) => {
      this.pan((last[0] - moved.clientX) / width, (last[1] - moved.clientY) / width);
      last = [moved.clientX, moved.clientY];
    };
    const end = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  }

  // ---------------------------------------------------------------------------------------------------------------- keys
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      j: () => this.actions.move(1),
      k: () => this.actions.move(-1),
      t: () => this.toggle("truth"),
      a: () => this.toggle("a"),
      b: () => this.toggle("b"),
      s: () => this.switchLayout(),
      "+": () => this.zoomBy(STEP),
      "=": () => this.zoomBy(STEP),
      "-": () => this.zoomBy(1 / STEP),
      0: () => this.fit(),
      ArrowLeft: () => this.pan(-PAN, 0),
      ArrowRight: () => this.pan(PAN, 0),
      ArrowUp: () => this.pan(0, -PAN),
      ArrowDown: () => this.pan(0, PAN),
      " ": () => this.hold(true),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action || (event.key === " " && !this.single)) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  release(event) {
    if (event.key !== " " || !this.single) return;
    event.preventDefault();
    this.hold(false);
  }

  /** Show B in the place of A while the key is held. */
  hold(on) {
    if (this.flicker === on) return;
    this.flicker = on;
    this.drawPictures();
  }
}
