// Boxes over an image, as vectors. A stage is an image with its boxes, laid out in percent, so that zooming only changes its size.
import { fill, h } from "./dom.js";
import { OF_TRUTH } from "./gallery-changes.js";

const LETTER = 8; // width and height of a name's letters in pixels, about
const LINE = 17;

/** Hatches that boxes are filled with; they have to be in the document once. */
export function hatches() {
  const lines = (...shapes) => shapes.map(([x1, y1, x2, y2]) => h("line", { x1, y1, x2, y2 }));
  const pattern = (id, ...shapes) => h("pattern", { id, class: id, width: 8, height: 8, patternUnits: "userSpaceOnUse" }, lines(...shapes));
  const cross = [[0, 0, 8, 8], [0, 8, 8, 0]];
  return h(
    "svg",
    { class: "offscreen", "aria-hidden": "true", width: 0, height: 0 },
    h("defs", {}, pattern("hatch-lost", ...cross), pattern("hatch-alarm", [0, 8, 8, 0])),
  );
}

const percent = (value, whole) => `${((100 * value) / whole).toFixed(3)}%`;

/** Whether the name of a box stands at its right edge: it would leave the image. */
const isRight = (box, width) => box[0] > 0.7 * width;

/** A box as a group: a dark line below a bright one, so that it is seen on every ground. `key` is that of a change (see `changeKey`). */
function rectangle(box, [width, height], kind, { title = "", opacity = 1, mark = "", label = "", key = null } = {}) {
  const place = { x: percent(box[0], width), y: percent(box[1], height), width: percent(box[2], width), height: percent(box[3], height) };
  const right = isRight(box, width);
  const corner = { x: percent(right ? box[0] + box[2] : box[0], width), y: place.y, "text-anchor": right ? "end" : null };
  return h(
    "g",
    { class: `box ${kind}`, "data-change": key },
    title ? h("title", {}, title) : null,
    h("rect", { class: "halo", ...place }),
    h("rect", { class: "edge", opacity: opacity < 1 ? opacity.toFixed(2) : null, ...place }),
    mark ? h("text", { class: "mark", ...corner }, mark) : null,
    label ? h("text", { class: "label", ...corner }, label) : null,
  );
}

/** Returns a function that says whether the name of a box finds room beside those before. `scale`: pixels of the screen per pixel. */
function roomFor([width], scale) {
  const taken = [];
  return (box, text) => {
    const [wide, high] = [(LETTER * text.length) / scale, LINE / scale];
    const left = isRight(box, width) ? box[0] + box[2] - wide : box[0];
    const area = { left, right: left + wide, top: box[1] - high, bottom: box[1] };
    const overlaps = (other) => area.left < other.right && other.left < area.right && area.top < other.bottom && other.top < area.bottom;
    if (taken.some(overlaps)) return false;
    taken.push(area);
    return true;
  };
}

/** Key of a change: it stays when the score moves. */
export const changeKey = (each) => `${OF_TRUTH.has(each.kind) ? "box" : "alarm"}-${each.index}`;

export const MARKS = { gained: "＋", lost: "－", confused: "≠", moved: "↔", alarm: "!", gone: "✓" };

/** What has changed in an image, as on a card. */
export function changedBoxes(changes, size, describe) {
  const order = [...changes].sort((one, other) => OF_TRUTH.has(one.kind) - OF_TRUTH.has(other.kind));
  return order.map((each) => rectangle(each.box, size, each.kind, { title: describe(each), mark: MARKS[each.kind] }));
}

/** True boxes of an image, dashed. */
export function truthBoxes(data, image, size) {
  return indices(data.truth, image).map((index) => rectangle(
    data.truth.box[index],
    size,
    "truth",
    { title: data.classes[data.truth.label[index]] },
  ));
}

/** True boxes alone that have not changed: thin, for a card. */
export function otherTruth(data, image, size, changes) {
  const changed = new Set(changes.filter((each) => OF_TRUTH.has(each.kind)).map((each) => each.index));
  return indices(data.truth, image).filter((index) => !changed.has(index)).map((index) => rectangle(
    data.truth.box[index],
    size,
    "truth quiet",
  ));
}

/**
 * What one side finds in an image at a score: true boxes that it finds solid, those it misses hatched, false alarms. What has changed has
 * its name where there is room.
 */
export function sideBoxes(data, image, size, side, score, { changes, describe, text, scale }) {
  const least = Math.round(score * 1000);
  const { truth, alarms } = data;
  const changed = new Map(changes.map((each) => [changeKey(each), each]));
  const hasRoom = roomFor(size, scale);
  const count = (rows, index) => rows.filter((row) => row[index] >= least).length;
  const named = (box, label) => (hasRoom(box, label) ? label : "");
  const strength = (found, n) => 0.35 + (0.65 * found) / n;
  const drawn = [];
  const rows = truth[side].found;
  for (const index of indices(truth, image)) {
    const found = count(rows, index);
    const key = `box-${index}`;
    const change = changed.get(key);
    const name = data.classes[truth.label[index]];
    const title = change ? describe(change) : text("gallery.found", { name, found, n: rows.length });
    const box = (found && truth[side].box[index]) || truth.box[index];
    const label = change ? named(box, `${MARKS[change.kind]} ${name} ${found}/${rows.length}`) : "";
    const better = change && side === "b" && ["gained", "moved"].includes(change.kind) ? change.kind : "";
    if (found) drawn.push(rectangle(box, size, `found ${better}`, { title, label, key, opacity: strength(found, rows.length) }));
    if (found * 2 > rows.length) continue;
    drawn.push(rectangle(truth.box[index], size, change ? "lost" : "missed", { title, key, label: found ? "" : label }));
  }
  const [from, to] = side === "a" ? [0, truth.a.found.length] : [truth.a.found.length, alarms.score.length];
  const own = alarms.score.slice(from, to);
  for (const index of indices(alarms, image)) {
    const found = count(own, index);
    if (!found) continue;
    const key = `alarm-${index}`;
    const change = changed.get(key);
    const name = data.classes[alarms.label[index]];
    const title = change ? describe(change) : text("gallery.alarm", { name, found, n: own.length });
    const box = alarms.box[index];
    const label = change ? named(box, `${MARKS[change.kind]} ${name} ${found}/${own.length}`) : "";
    drawn.push(rectangle(box, size, change ? "alarm" : "alarm quiet", { title, label, key, opacity: strength(found, own.length) }));
  }
  return drawn;
}

function indices(columns, image) {
  const found = [];
  columns.image.forEach((each, index) => {
    if (each === image) found.push(index);
  });
  return found;
}

/** The part of an image to show for some boxes: {x, y, side} of a square, in pixels; all of it where that is hardly more. */
export function squareAround(boxes, [width, height]) {
  const whole = Math.max(width, height);
  const [x1, y1] = [Math.min(...boxes.map((box) => box[0])), Math.min(...boxes.map((box) => box[1]))];
  const [x2, y2] = [Math.max(...boxes.map((box) => box[0] + box[2])), Math.max(...boxes.map((box) => box[1] + box[3]))];
  const side = Math.max(1.6 * Math.max(x2 - x1, y2 - y1), 0.35 * whole);
  if (side > 0.7 * whole) return { x: (width - whole) / 2, y: (height - whole) / 2, side: whole };
  const place = (middle, most) => (side >= most ? (most - side) / 2 : Math.min(Math.max(0, middle - side / 2), most - side));
  return { x: place((x1 + x2) / 2, width), y: place((y1 + y2) / 2, height), side };
}

/** An image with room for its boxes. One that cannot be shown becomes a grey frame with its name and the reason; the boxes stay. */
export class Stage {
  constructor(page, [id, name, width, height], { whole = false } = {}) {
    this.size = [width, height];
    this.layer = h("svg", { class: "boxes" });
    this.image = h("img", { alt: "", draggable: "false" });
    const why = h("span", { class: "small" });
    this.frame = h("div", { class: "gone-image", hidden: true }, h("span", { class: "small" }, name), why);
    this.sheet = h("div", { class: "sheet-of-image" }, this.frame, this.image, this.layer);
    this.root = h("div", { class: "stage" }, this.sheet);
    const gone = async () => {
      this.image.hidden = true;
      this.frame.hidden = false;
      fill(why, await page.source.imageProblem(id, whole).catch(() => ""));
    };
    this.image.addEventListener("error", gone);
    page.source.image(id, whole).then((address) => (address ? this.image.setAttribute("src", address) : gone()));
  }

  draw(...boxes) {
    this.layer.replaceChildren(...boxes.flat(Infinity).filter(Boolean));
    this.layer.append(...this.layer.querySelectorAll("text")); // names above all boxes
  }

  /** Show a square of the image. */
  show({ x, y, side }) {
    const [width, height] = this.size;
    const { style } = this.sheet;
    for (const [name, value] of [
      ["left", -x],
      ["top", -y],
      ["width", width],
      ["height", height],
    ]) style.setProperty(name, percent(value, side));
  }

  /** Draw the pixels as squares, or smooth. */
  sharp(on) {
    this.image.classList.toggle("sharp", on);
  }
}
