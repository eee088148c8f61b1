// The tabs, in their order. Each module exports an object
//   id         in the address
//   keys       keys of the address's query that belong to it, with their defaults
//   shows(overview)     whether the tab is shown (optional)
//   mount(page)         returns {root, update(), unmount()}: `root` is an element; update() is called after a change of state, data or
//                       language, unmount() before the tab is left
// `page` has: source, state, text(id, arguments), number(value), duration(seconds), trials (see trials.js: what is selected, colours),
// announce(sentence) for screen readers.

export const TABS = [];
