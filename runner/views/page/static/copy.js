// Text to copy: a command or an address, with a button.
import { fill, h } from "./dom.js";

/** A block with a text and the button that copies it. */
export function copyable(page, text) {
  const button = h("button", { type: "button", class: "quiet", onclick: () => copy(page, text, button) }, page.text("copy"));
  button.setAttribute("aria-label", page.text("copy.what", { what: text }));
  return h("div", { class: "copyable" }, h("code", {}, text), button);
}

/** A block with a command to copy; without the button where a path in it is not shown (`…/`), so that it does not work as it stands. */
export function commandBlock(page, command) {
  if (!command.includes("…/")) return copyable(page, command);
  return h("div", {}, h("div", { class: "copyable" }, h("code", {}, command)), h("p", { class: "small muted" }, page.text("copy.place")));
}

async function copy(page, text, button) {
  const done = await copyText(text);
  fill(button, page.text(done ? "copy.done" : "copy.failed"));
  page.announce(page.text(done ? "copy.done" : "copy.failed"));
  setTimeout(() => fill(button, page.text("copy")), 2000);
}

/** Copy a text; returns whether that worked. The older way serves where the clipboard is closed to the page (http beyond loopback). */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "offscreen" });
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** A word as a shell reads it back: quoted where it has to be. */
export function shellWord(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}
