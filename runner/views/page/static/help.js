// The dialogs of the header: the keyboard, and how to share the page.
import { commandBlock, copyable, shellWord } from "./copy.js";
import { h, prose } from "./dom.js";

const KEYS = [
  ["/", "key.filter"],
  ["1 – 9", "key.tab"],
  ["← →", "key.arrows"],
  ["?", "key.help"],
  ["Esc", "key.close"],
];

/** Whether a key press goes into a field. */
export function isTyping(event) {
  return event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable], dialog") != null;
}

function show(page, title, ...content) {
  document.querySelector("dialog")?.remove();
  const id = "dialog-title";
  const close = h("button", { type: "button", onclick: () => dialog.close() }, page.text("close"));
  const dialog = h("dialog", { "aria-labelledby": id }, h("h2", { id }, title), content, h("p", { class: "actions" }, close));
  dialog.addEventListener("close", () => dialog.remove());
  document.querySelector("main").append(dialog);
  dialog.showModal();
}

/** Show the keys, also those of the open tab (its `help`: pairs of keys and the id of a text), and the filter language. */
export function showHelp(page, tab) {
  const rows = [...KEYS, ...(tab?.help ?? [])].map(([keys, id]) =>
    h("div", {}, h("dt", {}, h("kbd", {}, keys)), h("dd", {}, page.text(id))),
  );
  const terms = ["word", "pattern", "key", "metric", "field", "not", "or"].map((name) =>
    h("div", {}, h("dt", {}, h("code", {}, page.text(`help.filter.${name}.example`))), h("dd", {}, page.text(`help.filter.${name}`))),
  );
  show(
    page,
    page.text("help.title"),
    h("dl", { class: "pairs" }, rows),
    h("h3", {}, page.text("help.filter")),
    h("dl", { class: "pairs" }, terms),
  );
}

/**
 * Show how to give others what is seen: the command that makes a file of it, and the address; of a file, its name with this view, and what
 * it lacks.
 */
export function showShare(page) {
  if (page.source.frozen) return showFile(page);
  const fragment = page.state.fragment();
  const view = fragment === "#answer" ? [] : ["--view", fragment];
  const command = ["runner", "share", ...page.overview.folders, ...view.map(shellWord)].join(" ");
  show(
    page,
    page.text("share"),
    h("p", {}, page.text("share.file")),
    commandBlock(page, command),
    h("p", {}, page.text("share.address")),
    copyable(page, location.href),
  );
}

function showFile(page) {
  const { made, version, images } = page.source;
  const time = new Intl.DateTimeFormat(page.language, { dateStyle: "long", timeStyle: "short" }).format(new Date(made * 1000));
  const name = decoded(location.pathname.split("/").pop());
  show(
    page,
    page.text("share.this"),
    h("p", {}, page.text("share.made", { time, version })),
    images ? h("p", {}, page.text("share.images", { n: images })) : null,
    h("p", {}, page.text("share.left")),
    h("p", {}, prose(page.text("share.instead"))),
    h("p", {}, page.text("share.view")),
    copyable(page, `${name}${page.state.fragment()}`),
  );
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Names of the folders that the page shows; their parents are not known here. */
export function folders(page) {
  return page.overview?.title.split(", ") ?? [];
}
