// Elements. Text becomes text nodes only, so that nothing that is read from a run can become markup.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set([
  "svg",
  "g",
  "path",
  "line",
  "rect",
  "circle",
  "text",
  "title",
  "polyline",
  "polygon",
  "defs",
  "pattern",
  "clipPath",
  "use",
]);
const ATTRIBUTES = new Set(
  `
    id class for type name value role tabindex title lang dir hidden disabled checked selected open multiple placeholder autocomplete
    spellcheck inputmode min max step colspan rowspan scope datetime download width height alt loading draggable viewBox
    preserveAspectRatio d x y x1 x2 y1 y2 cx cy r rx ry points transform fill stroke stroke-width stroke-dasharray stroke-linecap
    stroke-linejoin fill-opacity opacity text-anchor dominant-baseline clip-path patternUnits
  `
    .trim()
    .split(/\s+/),
);
const ATTRIBUTE_FAMILIES = /^(aria-[a-z]+|data-[a-z-]+)$/;

/**
 * Make an element: h("td", {class: "number", onclick: f}, "text", child, …). Children may be nodes, texts, numbers, arrays of these, or
 * null. Attributes come from a fixed list. A value of false or null leaves an attribute out, true makes it empty. `href` takes fragments of
 * this page only; `src` data: and blob: addresses and those below /api/. `style` takes a map of properties.
 */
export function h(tag, attributes = {}, ...children) {
  const element = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  return append(element, children);
}

/** Set an attribute, a listener (`onclick`), a style or a property that an element has. */
export function set(element, name, value) {
  if (name.startsWith("on") && typeof value === "function") return element.addEventListener(name.slice(2), value);
  if (name === "style") return Object.entries(value).forEach(([property, text]) => element.style.setProperty(property, text));
  if (value === false || value === null || value === undefined) return element.removeAttribute(name);
  if (name === "href" && !String(value).startsWith("#")) throw new Error("href: only fragments");
  if (name === "src" && !/^(data:image\/|blob:|\/?api\/)/.test(value)) throw new Error("src: only images of this page");
  if (name !== "href" && name !== "src" && !ATTRIBUTES.has(name) && !ATTRIBUTE_FAMILIES.test(name)) throw new Error(`no attribute ${name}`);
  element.setAttribute(name, value === true ? "" : String(value));
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** Replace the children of an element. */
export function fill(element, ...children) {
  element.replaceChildren();
  return append(element, children);
}

/** Stands for a backtick that is text, in a sentence whose other backticks mark code. */
const VERBATIM = "\uE060";

/** A value of a run, for a sentence that `prose` shows: its backticks stay text. */
export function verbatim(value) {
  return value.replaceAll("`", VERBATIM);
}

/** A sentence whose parts between backticks are code; one with a backtick that has no partner is text alone. */
export function prose(text) {
  const parts = text.split("`");
  const shown = parts.length % 2 ? parts : [text];
  return shown.map((part) => part.replaceAll(VERBATIM, "`")).map((part, index) => (index % 2 ? h("code", {}, part) : part));
}
