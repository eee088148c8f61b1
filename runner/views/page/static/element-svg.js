// Elements of the page as an SVG document, as the browser lays them out: their texts, grounds, rules and drawings. So a table of which a
// column is drawn, a matrix, or several charts beside each other can be saved as one figure.

import { xmlText } from "./chart-export.js";
import { h } from "./dom.js";
import { clipped } from "./search-plot.js";
import { inLightTheme } from "./theme.js";

const WIDTH = 960;
const SIDES = ["Top", "Right", "Bottom", "Left"];
const GEOMETRY = new Set("d x y x1 x2 y1 y2 cx cy r rx ry width height points viewBox".split(" "));
const PAINTS = ["fill", "stroke"];
const STYLES = "fill-opacity stroke-width stroke-dasharray stroke-linejoin opacity font-size text-anchor dominant-baseline".split(" ");

/**
 * What `make` returns, laid out with the page's styles for elements of the class `scope`, as an SVG document on white, whatever the theme.
 * `title` stands above it.
 */
export function elementsSvg(make, { scope, title }) {
  return inLightTheme(() => {
    const sheet = h(
      "div",
      { class: "figure-sheet", "aria-hidden": "true", style: { width: `${WIDTH}px` } },
      h("h2", {}, title),
      h("div", { class: scope }, make()),
    );
    document.body.append(sheet);
    try {
      return new Sheet(sheet).document(title);
    } finally {
      sheet.remove();
    }
  });
}

class Sheet {
  constructor(root) {
    this.root = root;
    this.corner = root.getBoundingClientRect();
    this.parts = [];
    this.pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    this.colors = new Map();
    this.range = document.createRange();
  }

  document(title) {
    this.draw(this.root, null);
    const [width, height] = [WIDTH, Math.ceil(this.corner.height)];
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"` +
        ' font-family="system-ui, sans-serif">',
      `<title>${xmlText(title)}</title>`,
      '<rect width="100%" height="100%" fill="#ffffff"/>',
      ...this.parts,
      "</svg>",
    ].join("\n");
  }

  /** Draw an element; `clip` is the box outside of which its texts are not shown, or null. */
  draw(element, clip) {
    const style = getComputedStyle(element);
    if (style.display === "none" || style.visibility === "hidden" || style.clipPath !== "none") return;
    const box = element.getBoundingClientRect();
    if (element.tagName === "svg") return this.drawing(element, box);
    this.ground(style, box);
    const inner = style.overflowX === "visible" ? clip : box;
    for (const child of element.childNodes) {
      if (child.nodeType === Node.ELEMENT_NODE) this.draw(child, inner);
      else if (child.nodeType === Node.TEXT_NODE && child.data.trim()) this.text(child, style, box, inner);
    }
  }

  /** The colour behind an element, and its borders. */
  ground(style, box) {
    const [x, y] = [this.x(box.left), this.y(box.top)];
    const size = `width="${short(box.width)}" height="${short(box.height)}"`;
    const fill = this.color(style.backgroundColor);
    if (fill) this.parts.push(`<rect x="${x}" y="${y}" ${size} fill="${fill.css}"${opacity("fill-opacity", fill)}/>`);
    for (const side of SIDES) {
      const width = style[`border${side}Style`] === "none" ? 0 : Number.parseFloat(style[`border${side}Width`]);
      const color = width > 0 && this.color(style[`border${side}Color`]);
      if (!color) continue;
      const [left, right] = [side === "Right" ? box.right : box.left, side === "Left" ? box.left : box.right];
      const [top, bottom] = [side === "Bottom" ? box.bottom : box.top, side === "Top" ? box.top : box.bottom];
      const ends = `x1="${this.x(left)}" x2="${this.x(right)}" y1="${this.y(top)}" y2="${this.y(bottom)}"`;
      const dashes = style[`border${side}Style`] === "dashed" ? ' stroke-dasharray="3 2"' : "";
      this.parts.push(`<line ${ends} stroke="${color.css}" stroke-width="${width}"${opacity("stroke-opacity", color)}${dashes}/>`);
    }
  }

  text(node, style, box, clip) {
    const fill = this.color(style.color);
    if (!fill) return;
    const weight = Number(style.fontWeight) >= 600 ? ' font-weight="600"' : "";
    const look = `fill="${fill.css}" font-size="${Number.parseFloat(style.fontSize)}"${weight}`;
    if (style.writingMode.startsWith("vertical")) {
      const [x, y] = [this.x((box.left + box.right) / 2), this.y(box.bottom)];
      const name = clipped(node.data, box.height + 6);
      const turned = `transform="rotate(-90 ${x} ${y})" dominant-baseline="central"`;
      this.parts.push(`<text x="${x}" y="${y}" ${turned} ${look}>${xmlText(name)}</text>`);
      return;
    }
    const anchor = { right: "end", end: "end", center: "middle" }[style.textAlign] ?? "start";
    this.pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    const { fontBoundingBoxAscent: above, fontBoundingBoxDescent: below } = this.pen.measureText("x");
    for (const line of this.lines(node, clip)) {
      const x = { start: line.left, middle: (line.left + line.right) / 2, end: line.right }[anchor];
      const y = line.top + (line.bottom - line.top) * (above / (above + below));
      this.parts.push(`<text x="${this.x(x)}" y="${this.y(y)}" text-anchor="${anchor}" ${look}>${xmlText(line.text.trimEnd())}</text>`);
    }
  }

  /** The lines into which a text is broken, as far as they are within `clip`. */
  lines(node, clip) {
    const found = [];
    let at = 0;
    for (const letter of node.data) {
      this.range.setStart(node, at);
      this.range.setEnd(node, (at += letter.length));
      const { left, right, top, bottom, width } = this.range.getBoundingClientRect();
      const line = found.at(-1);
      if (!width && (!line || /\s/.test(letter))) continue; // white space that is not shown
      if (clip && (left >= clip.right - 1 || top >= clip.bottom - 1)) continue;
      const sign = /\s/.test(letter) ? " " : letter;
      if (line && Math.abs(line.top - top) < 2) Object.assign(line, { text: line.text + sign, right });
      else if (sign !== " ") found.push({ text: sign, left, right, top, bottom });
    }
    return found;
  }

  /** A drawing of the page, with its styles written into it. */
  drawing(svg, box) {
    const view = svg.hasAttribute("viewBox") ? ` viewBox="${svg.getAttribute("viewBox")}"` : "";
    const place = `x="${this.x(box.left)}" y="${this.y(box.top)}" width="${short(box.width)}" height="${short(box.height)}"`;
    const { overflow } = getComputedStyle(svg);
    this.parts.push(`<svg ${place}${view} overflow="${overflow}">${[...svg.children].map((each) => this.markup(each)).join("")}</svg>`);
  }

  markup(element) {
    const style = getComputedStyle(element);
    if (element.tagName === "title" || style.display === "none") return "";
    const attributes = element
      .getAttributeNames()
      .filter((name) => GEOMETRY.has(name))
      .map((name) => [name, element.getAttribute(name)]);
    for (const name of PAINTS) {
      const value = style.getPropertyValue(name);
      const isHalo = name === "stroke" && element.tagName === "text"; // which programs that know no paint-order draw above the text
      const color = value === "none" || isHalo ? null : this.color(value);
      attributes.push([name, color ? color.css : "none"]);
    }
    for (const name of STYLES) attributes.push([name, style.getPropertyValue(name).replaceAll("px", "")]);
    if (style.transform !== "none") attributes.push(["transform", style.transform]);
    if (Number(style.fontWeight) >= 600) attributes.push(["font-weight", "600"]);
    const unique = [...new Map(attributes)].map(([name, value]) => ` ${name}="${xmlText(value)}"`).join("");
    const content = [...element.childNodes].map((child) => (child.nodeType === Node.TEXT_NODE ? xmlText(child.data) : this.markup(child)));
    return `<${element.tagName}${unique}>${content.join("")}</${element.tagName}>`;
  }

  /** {css, alpha} of a colour in any notation, which programs that read SVG know; null for one that is not seen. */
  color(css) {
    if (!this.colors.has(css)) this.colors.set(css, this.measured(css));
    return this.colors.get(css);
  }

  measured(css) {
    this.pen.clearRect(0, 0, 1, 1);
    this.pen.fillStyle = css;
    this.pen.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = this.pen.getImageData(0, 0, 1, 1).data;
    return alpha ? { css: `rgb(${red},${green},${blue})`, alpha: alpha / 255 } : null;
  }

  x(value) {
    return short(value - this.corner.left);
  }

  y(value) {
    return short(value - this.corner.top);
  }
}

function opacity(name, { alpha }) {
  return alpha < 1 ? ` ${name}="${short(alpha)}"` : "";
}

function short(value) {
  return Number(value.toFixed(2));
}
