// The menu "Export" of a chart or a table, the same everywhere on the page. What it saves is made when it is chosen.

import { pngBlob } from "./chart-export.js";
import { h } from "./dom.js";
import { saveFile } from "./download.js";

const LONGEST_NAME = 80;

/**
 * @param {object} page see tabs.js
 * @param {function(): string} name what the files are called, without their endings
 * @param {object[]} kinds {text, hint, ending, media, make}: `text` and `hint` (optional) are ids of texts, `make` returns a text or a
 *   Blob, or a promise of one
 * @param {function(Error)} failed shows what went wrong
 */
export function exportMenu(page, name, kinds, failed) {
  const summary = h("summary", {}, page.text("export"));
  const save = async ({ ending, media, make }) => {
    menu.open = false;
    summary.focus();
    try {
      const file = `${fileName(name())}.${ending}`;
      saveFile(file, media, await make());
      page.announce(page.text("export.saved", { file }));
    } catch (error) {
      failed(error);
    }
  };
  const item = (kind) =>
    h(
      "button",
      { type: "button", onclick: () => save(kind) },
      page.text(kind.text),
      kind.hint ? [" ", h("span", { class: "muted" }, page.text(kind.hint))] : null,
    );
  const menu = h("details", { class: "menu export-menu" }, summary, h("div", { class: "sheet-of-menu" }, kinds.map(item)));
  const outside = (event) => {
    if (menu.open && menu.contains(event.target)) return;
    menu.open = false;
    document.removeEventListener("click", outside);
  };
  menu.addEventListener("toggle", () => menu.open && document.addEventListener("click", outside));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.stopPropagation();
    menu.open = false;
    summary.focus();
  });
  return menu;
}

/** The kinds of a figure. `svg` makes its SVG document. */
export function figureKinds(svg) {
  return [
    { text: "export.svg", ending: "svg", media: "image/svg+xml", make: svg },
    { text: "export.png", ending: "png", media: "image/png", make: async () => pngBlob(await svg()) },
  ];
}

/** A kind that is a CSV file; `text` is the id of its name, if it is not the only one of its menu. */
export function csvKind(make, { text = "export.csv", ending = "csv" } = {}) {
  return { text, ending, media: "text/csv", make };
}

/** A name as files have it: letters of every script, digits, and `_` for the rest. */
function fileName(name) {
  return name
    .replace(/[^\p{L}\p{N}_.+=-]+/gu, "_")
    .slice(0, LONGEST_NAME);
}
