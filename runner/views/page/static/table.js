// A table of any number of rows: only those in view are elements, in a pool that is filled again while one scrolls. Rows can be folded (a
// tree grid); keys move from row to row.
import { fill, h } from "./dom.js";
import { isPrinting } from "./theme.js";

const POOL = 44;
const PRINTED = 200;
const SPARE = 4; // rows above the first one in view

export class WindowedTable {
  /**
   * @param {object} actions
   *   sort(column, add)        a header was chosen; `add` with Shift
   *   move(column, before)     a column was dragged before another one, or moved by Alt and an arrow (before: null is the end)
   *   key(event, row)          a key in a row; returns whether it was used
   */
  constructor(actions) {
    this.actions = actions;
    this.rows = [];
    this.columns = [];
    this.index = new Map();
    this.active = null;
    this.version = 0;
    this.rowHeight = 32;
    this.cols = h("colgroup");
    this.head = h("tr", { "aria-rowindex": "1" });
    this.above = h("tbody", { "aria-hidden": "true" }, h("tr", {}, h("td")));
    this.body = h("tbody");
    this.below = h("tbody", { "aria-hidden": "true" }, h("tr", {}, h("td")));
    this.table = h(
      "table",
      { class: "windowed", role: "treegrid" },
      this.cols,
      h("thead", {}, this.head),
      this.above,
      this.body,
      this.below,
    );
    this.root = h("div", { class: "scroller", tabindex: "-1" }, this.table);
    this.pool = [];
    this.grow(POOL);
    this.root.addEventListener("scroll", () => this.schedule(), { passive: true });
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("click", (event) => this.clicked(event));
    this.narrow = matchMedia("screen and (max-width: 720px)");
    this.listeners = [
      [this.narrow, "change", () => this.measure()],
      [window, "resize", () => this.schedule()],
      [window, "printing", () => this.print(isPrinting())],
    ];
    for (const [target, name, f] of this.listeners) target.addEventListener(name, f);
    this.measure();
  }

  unmount() {
    for (const [target, name, f] of this.listeners) target.removeEventListener(name, f);
    cancelAnimationFrame(this.frame);
  }

  grow(size) {
    while (this.pool.length < size) {
      const element = h("tr", { hidden: true, tabindex: "-1" });
      this.pool.push({ element, row: null, version: -1 });
      this.body.append(element);
    }
  }

  measure() {
    this.rowHeight = this.narrow.matches ? 44 : 32;
    this.table.style.setProperty("--row", `${this.rowHeight}px`);
    this.draw();
  }

  print(printing) {
    this.printing = printing;
    this.grow(printing ? PRINTED : POOL);
    this.draw();
  }

  /**
   * Show columns and rows.
   * @param {string} label of the table
   * @param {Array} columns {id, title, hint, width (px; the one without takes the rest), number, sorts, cell(row)}
   * @param {Array} rows {id, level, expanded (undefined: cannot be unfolded), label, class}
   * @param {Array} sort {id, descending}, the first decides
   */
  show(label, columns, rows, sort) {
    const top = this.root.scrollTop; // before anything changes: the browser would lay the table out to answer
    this.columns = columns;
    this.rows = rows;
    this.sort = sort;
    this.index = new Map(rows.map((row, at) => [row.id, at]));
    this.version += 1;
    this.table.setAttribute("aria-label", label);
    this.table.setAttribute("aria-rowcount", String(rows.length + 1));
    this.table.setAttribute("aria-colcount", String(columns.length));
    const width = columns.reduce((sum, column) => sum + (column.width ?? column.least), 0);
    this.table.style.setProperty("min-width", `${width}px`);
    this.drawHead();
    this.draw(top);
  }

  drawHead() {
    const focused = this.head.contains(document.activeElement) ? document.activeElement.closest("th").dataset.column : null;
    fill(
      this.cols,
      this.columns.map((column) => h("col", { style: column.width ? { width: `${column.width}px` } : {} })),
    );
    fill(
      this.head,
      this.columns.map((column) => this.header(column)),
    );
    if (focused)
      [...this.head.children]
        .find((cell) => cell.dataset.column === focused)
        ?.querySelector("button")
        ?.focus();
  }

  header(column) {
    const at = this.sort.findIndex((each) => each.id === column.id);
    const direction = at < 0 ? null : this.sort[at].descending ? "descending" : "ascending";
    const mark = direction
      ? h("span", { class: "mark", "aria-hidden": "true" }, direction === "descending" ? "▼" : "▲", this.sort.length > 1 ? at + 1 : "")
      : null;
    const content = column.sorts
      ? h(
          "button",
          { type: "button", onclick: (event) => this.actions.sort(column.id, event.shiftKey) },
          h("span", { class: "title" }, column.title),
          mark,
        )
      : h("span", { class: column.hidden ? "offscreen" : "title" }, column.title);
    const cell = h(
      "th",
      { scope: "col", class: column.number ? "number" : null, title: column.hint, draggable: column.sorts ? "true" : null },
      content,
    );
    cell.dataset.column = column.id;
    if (direction && at === 0) cell.setAttribute("aria-sort", direction);
    cell.addEventListener("dragstart", (event) => event.dataTransfer.setData("text/plain", column.id));
    cell.addEventListener("dragover", (event) => event.preventDefault());
    cell.addEventListener("drop", (event) => {
      event.preventDefault();
      this.actions.move(event.dataTransfer.getData("text/plain"), column.id);
    });
    return cell;
  }

  schedule() {
    if (this.waiting) return;
    this.waiting = true;
    this.frame = requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  /** Fill the pool with the rows in view. */
  draw(top = this.root.scrollTop) {
    const { rows, rowHeight } = this;
    const size = this.pool.length;
    const last = Math.max(0, rows.length - size);
    this.first = this.printing ? 0 : Math.min(last, Math.max(0, Math.floor(top / rowHeight) - SPARE));
    const shown = Math.min(size, rows.length);
    const hadFocus = this.body.contains(document.activeElement);
    for (const [at, slot] of this.pool.entries()) this.drawRow(slot, at < shown ? this.first + at : -1);
    this.space(this.above, this.printing ? 0 : this.first);
    this.space(this.below, this.printing ? 0 : rows.length - this.first - shown);
    const active = this.slotOf(this.active);
    if (!active && shown) this.pool[0].element.setAttribute("tabindex", "0");
    if (hadFocus && !active?.element.contains(document.activeElement)) (active?.element ?? this.root).focus({ preventScroll: true });
  }

  drawRow(slot, index) {
    const row = this.rows[index];
    const { element } = slot;
    element.hidden = !row;
    if (!row) return;
    element.setAttribute("tabindex", row.id === this.active ? "0" : "-1");
    element.setAttribute("aria-rowindex", String(index + 2));
    if (slot.row === row && slot.version === this.version) return;
    Object.assign(slot, { row, version: this.version });
    element.className = row.class ?? "";
    element.dataset.id = row.id;
    if (row.trial) element.dataset.hover = row.trial.id;
    else delete element.dataset.hover;
    element.setAttribute("aria-level", String(row.level));
    if (row.expanded === undefined) element.removeAttribute("aria-expanded");
    else element.setAttribute("aria-expanded", String(row.expanded));
    fill(
      element,
      this.columns.map((column) => h("td", { class: column.number ? "number" : null }, column.cell(row))),
    );
  }

  space(body, rows) {
    body.hidden = rows === 0;
    body.firstChild.firstChild.style.setProperty("height", `${rows * this.rowHeight}px`);
  }

  slotOf(id) {
    const at = this.index.get(id);
    return at === undefined || at < this.first || at >= this.first + this.pool.length ? null : this.pool[at - this.first];
  }

  /** Make a row the one that keys act on, and bring it into view. */
  activate(id) {
    if (!this.index.has(id)) return;
    this.active = id;
    const top = this.index.get(id) * this.rowHeight;
    const view = this.root.clientHeight - this.head.offsetHeight;
    if (top < this.root.scrollTop) this.root.scrollTop = top;
    else if (top + this.rowHeight > this.root.scrollTop + view) this.root.scrollTop = top + this.rowHeight - view;
    this.draw();
    this.slotOf(id)?.element.focus({ preventScroll: true });
  }

  clicked(event) {
    const element = event.target.closest("tr");
    if (!element?.dataset.id) return;
    this.active = element.dataset.id;
    for (const slot of this.pool) slot.element.setAttribute("tabindex", slot.row?.id === this.active ? "0" : "-1");
    if (!event.target.closest("a")) this.slotOf(this.active)?.element.focus({ preventScroll: true });
  }

  key(event) {
    const header = event.target.closest("th");
    if (header) {
      this.headerKey(event, header.dataset.column);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const focused = event.target.closest("tr")?.dataset.id ?? this.active;
    const at = this.index.get(focused) ?? this.first;
    const page = Math.max(1, Math.floor(this.root.clientHeight / this.rowHeight) - 2);
    const steps = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: this.rows.length - 1 };
    const row = this.rows[at];
    if (!row) return;
    this.active = row.id;
    if (event.key in steps) this.activate(this.rows[Math.min(this.rows.length - 1, Math.max(0, steps[event.key]))].id);
    else if (!this.actions.key(event, row)) return;
    event.preventDefault();
  }

  headerKey(event, id) {
    if (!event.altKey || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    event.preventDefault();
    const movable = this.columns.filter((column) => column.sorts).map((column) => column.id);
    const to = movable.indexOf(id) + (event.key === "ArrowLeft" ? -1 : 2);
    if (to >= 0 && to <= movable.length) this.actions.move(id, movable[to] ?? null);
  }
}
