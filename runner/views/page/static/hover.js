// The trial that is pointed at: every element that stands for it (`data-hover`: its id), and its lines in all charts, are emphasised.

export class Hover {
  id = null;
  listeners = new Set();

  constructor() {
    const follow = (event) => {
      if (event.target.closest?.(".curve-chart")) return; // a chart says by itself which line is meant
      this.set(event.target.closest?.("[data-hover]")?.dataset.hover ?? null);
    };
    for (const name of ["pointerover", "focusin"]) addEventListener(name, follow);
  }

  /** Point at a trial, or at a group of the charts; null: at none. */
  set(id) {
    if (id === this.id) return;
    this.id = id;
    this.mark();
    for (const f of [...this.listeners]) f(id);
  }

  /** Mark the elements, also those that are new. */
  mark() {
    for (const element of document.querySelectorAll("[data-hover]")) element.classList.toggle("hovered", element.dataset.hover === this.id);
  }

  subscribe(f) {
    this.listeners.add(f);
    return () => this.listeners.delete(f);
  }
}
