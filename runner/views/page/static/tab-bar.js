// The list of tabs. Only the open one is in the order of the Tab key; arrows, Home and End move between them.
import { fill, h } from "./dom.js";

export class TabBar {
  /** @param {function(string)} open called with the id of the tab that was chosen */
  constructor(page, open) {
    this.page = page;
    this.open = open;
    this.shown = [];
    this.list = h("div", { role: "tablist", onkeydown: (event) => this.key(event) });
    this.root = h("nav", { class: "tabs" }, this.list);
  }

  update(shown, current) {
    const { page } = this;
    this.shown = shown;
    this.current = current;
    this.root.setAttribute("aria-label", page.text("tabs"));
    const focused = this.list.contains(document.activeElement);
    const signature = JSON.stringify([page.language, shown.map((tab) => tab.id), current.id]);
    if (signature === this.signature) return;
    this.signature = signature;
    fill(
      this.list,
      shown.map((tab) => this.button(tab, tab === current)),
    );
    if (focused) this.list.querySelector("[aria-selected=true]").focus();
  }

  button(tab, selected) {
    const attributes = {
      id: `tab-${tab.id}`,
      type: "button",
      role: "tab",
      "aria-selected": String(selected),
      "aria-controls": "panel",
      tabindex: selected ? "0" : "-1",
      onclick: () => this.open(tab.id),
    };
    return h("button", attributes, this.page.text(`tab.${tab.id}`));
  }

  key(event) {
    const at = this.shown.indexOf(this.current);
    const last = this.shown.length - 1;
    const next = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.choose(next);
  }

  /** Open the tab at that place, if there is one. */
  choose(index) {
    if (this.shown[index]) this.open(this.shown[index].id);
  }
}
