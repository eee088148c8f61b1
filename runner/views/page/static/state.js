// The page's state: the fragment of the address, "#curves?tag=train/loss&x=epoch". Sorted keys; what is at its default is left out.

/** Default of each key. A key that is not listed here is dropped, with a notice. */
export const DEFAULTS = Object.freeze({
  f: "", // filter
  g: "", // key by which trials are grouped
  base: "", // id of the trial that stands in for the baseline
  metric: "", // deciding metric, if not the report's
  pin: "", // ids of pinned trials, joined by commas
  hide: "", // ids of hidden trials
  lang: "",
  theme: "",
});

export class State {
  /**
   * @param {string} tab the tab that opens first
   * @param {Object<string, string>} defaults of further keys, from the tabs
   * @param {Object<string, function(string): boolean>} checks of keys whose values are not free: a wrong one is dropped, with a notice
   */
  constructor(tab, defaults = {}, checks = {}) {
    this.checks = new Map(Object.entries(checks));
    this.defaults = new Map(Object.entries({ ...DEFAULTS, ...defaults }));
    this.first = tab;
    this.listeners = new Set();
    this.dropped = [];
    this.leaving = () => null; // where the reader is in a view that is left, as Back needs it
    this.returned = null; // that, of the entry of the history that Back or Forward has led to
    this.read();
    // a new address may cause both events: the second one must not forget what the first one dropped
    for (const event of ["popstate", "hashchange"]) addEventListener(event, () => this.went());
  }

  /** The address has changed, by Back or Forward, a link, or by hand. */
  went() {
    if (location.hash === this.known) return;
    this.returned = history.state?.left ?? null;
    this.read(true);
  }

  /** Read the address again. */
  read(tell = false) {
    this.known = location.hash;
    const [tab, query = ""] = location.hash.slice(1).split(/\?(.*)/s);
    this.tab = decoded(tab) || this.first;
    this.values = new Map();
    this.dropped = [];
    for (const [key, value] of new URLSearchParams(query)) {
      const isRight = this.checks.get(key) ?? (() => true);
      if (!this.defaults.has(key)) this.dropped.push(key);
      else if (value === this.defaults.get(key) || isRight(value)) this.values.set(key, value);
      else this.dropped.push(`${key}=${value}`);
    }
    if (tell) this.tell();
  }

  get(key) {
    if (!this.defaults.has(key)) throw new Error(`no key ${key}`);
    return this.values.get(key) ?? this.defaults.get(key);
  }

  /** Ids in a key that holds a list. */
  list(key) {
    return this.get(key).split(",").filter(Boolean);
  }

  /**
   * Change keys; {tab: …} changes the tab. A change of the tab, or of what Back should close (`opens`), adds an entry to the history;
   * everything else replaces it.
   */
  set(changes, { opens = false } = {}) {
    const { tab = this.tab, ...values } = changes;
    const isNew = opens || tab !== this.tab;
    this.tab = tab;
    for (const [key, value] of Object.entries(values)) {
      if (!this.defaults.has(key)) throw new Error(`no key ${key}`);
      if (value === this.defaults.get(key)) this.values.delete(key);
      else this.values.set(key, String(value));
    }
    if (isNew) this.push(this.fragment(), opens);
    else history.replaceState(history.state, "", this.fragment());
    this.known = location.hash;
    this.tell();
  }

  push(fragment, opens) {
    history.replaceState({ ...history.state, left: this.leaving() }, "");
    history.pushState({ opens }, "", fragment);
  }

  /** Go to a fragment of this page, as a link does. */
  follow(fragment) {
    this.push(fragment, false);
    this.returned = null;
    this.read(true);
  }

  /** Undo what `set(…, {opens: true})` did: go back, or where the address itself had it, change the keys. */
  close(changes) {
    if (history.state?.opens) history.back();
    else this.set(changes);
  }

  /** The address's fragment for this state, with some changes. */
  fragment(changes = {}) {
    const { tab = this.tab, ...values } = changes;
    const all = new Map([...this.values, ...Object.entries(values)]);
    const query = new URLSearchParams([...all].filter(([key, value]) => value !== this.defaults.get(key)).sort()).toString();
    const readable = query.replaceAll("%2F", "/").replaceAll("%3A", ":").replaceAll("%2C", ",");
    return `#${encodeURIComponent(tab)}${query && "?"}${readable}`;
  }

  /** Call f() whenever the state changes; returns a function that ends this. */
  subscribe(f) {
    this.listeners.add(f);
    return () => this.listeners.delete(f);
  }

  tell() {
    for (const f of [...this.listeners]) f();
  }
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return ""; // an address that was cut in the middle of a letter
  }
}
