// The frame: starts the page over a source of data, keeps state, texts and trials together, and gives the open tab its life.
import { fill, h } from "./dom.js";
import { failure } from "./failure.js";
import { showDuration, showMemory, showNumber, showRange, showSigned, showSummary, showValue } from "./format.js";
import { Header } from "./header.js";
import { isTyping, showHelp } from "./help.js";
import { Hover } from "./hover.js";
import { Selection } from "./selection.js";
import { State } from "./state.js";
import { TABS } from "./tabs.js";
import { TabBar } from "./tab-bar.js";
import { firstLanguage, Texts } from "./text.js";
import { recall, remember } from "./remembered.js";
import { Trials } from "./trials.js";

const ANNOUNCE_MS = 10_000;

/** Start the page over a source (see source-http.js). */
export async function start(source) {
  document.getElementById("unsupported")?.remove();
  await new Frame(source).open();
}

class Frame {
  constructor(source) {
    this.source = source;
    const all = (name) => Object.assign({}, ...TABS.map((tab) => tab[name]));
    this.state = new State(TABS[0].id, all("keys"), all("checks"));
    this.texts = new Texts(source);
    this.hover = new Hover();
    this.trials = null;
    this.overview = null;
    this.page = makePage(this);
    this.open_ = null; // {tab, view}: the tab that is mounted
    this.state.leaving = () => placeOf(document.activeElement, this.panel);
    this.announced = 0;
    this.paused = false;
    this.printing = false;
  }

  /** Show the frame, then the data. */
  async open() {
    this.applyTheme();
    await this.applyLanguage();
    this.build();
    await this.refresh();
    this.state.subscribe(() => this.changed());
    this.source.subscribe((change) => this.heard(change));
    addEventListener("keydown", (event) => this.key(event));
    addEventListener("click", (event) => this.followed(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.update());
    addEventListener("beforeprint", () => this.print(true));
    addEventListener("afterprint", () => this.print(false));
    matchMedia("print").addEventListener("change", ({ matches }) => this.print(matches));
  }

  build() {
    const { page } = this;
    this.header = new Header(page, {
      language: (value) => this.choose("lang", value),
      theme: (value) => this.choose("theme", value),
      pause: () => this.pause(),
      help: () => showHelp(page, this.open_?.tab),
    });
    this.tabBar = new TabBar(page, (id) => this.state.set({ tab: id }));
    this.selection = new Selection(page);
    this.banner = h("div", { class: "banner", role: "status" });
    this.panel = h("div", { id: "panel", class: "panel", role: "tabpanel", tabindex: "-1" });
    this.printed = h("p", { class: "printed small muted" }); // on paper only
    this.live = h("div", { class: "offscreen", "aria-live": "polite" });
    const skip = h("button", { type: "button", class: "skip", onclick: () => this.panel.focus() });
    this.skip = skip;
    const main = h("main", {}, this.panel);
    const above = [skip, this.header.root, this.tabBar.root, this.selection.root, this.banner, this.printed];
    fill(document.body, h("div", { class: "page" }, above, main, this.live));
    this.notices();
  }

  // ------------------------------------------------------------------------------------------------------------- data
  /** Read the data anew and show them. */
  async refresh() {
    try {
      const [overview, trials] = await Promise.all([this.source.json("overview"), this.source.json("trials")]);
      if (this.overview) this.tellFinished(this.overview, overview);
      this.overview = overview;
      this.trials = new Trials(trials, this.state, this.trials);
      this.dropStale();
      this.problem = null;
    } catch (error) {
      this.problem = error;
    }
    this.update();
  }

  /** The source has changed, or its server has gone or come back. */
  async heard({ revision, gone }) {
    const back = this.gone && !gone;
    this.gone = gone ? (this.gone ?? new Date()) : null;
    this.notices();
    this.header.update(this);
    if (gone || this.paused || (!back && revision === this.overview?.revision)) return;
    this.again = true;
    if (this.reading) return; // one reading at a time; the newest change is not lost
    this.reading = true;
    while (this.again) {
      this.again = false;
      await this.refresh();
    }
    this.reading = false;
  }

  pause() {
    this.paused = !this.paused;
    if (!this.paused) this.refresh();
    this.header.update(this);
  }

  // ------------------------------------------------------------------------------------------------------------ state
  async changed() {
    this.applyTheme();
    await this.applyLanguage();
    if (this.trials) {
      this.trials.read();
      this.dropStale();
    }
    this.update();
  }

  /** Show everything in its present state. */
  update() {
    document.title = [this.overview?.title, this.page.text("title")].filter(Boolean).join(" · ");
    fill(this.skip, this.page.text("skip"));
    this.header.update(this);
    this.notices();
    if (!this.trials) {
      if (this.problem) fill(this.panel, failure(this.page, this.problem));
      return;
    }
    const shown = TABS.filter((tab) => !tab.shows || tab.shows(this.overview, this.state));
    const tab = shown.find((each) => each.id === this.state.tab) ?? shown[0];
    this.tabBar.update(shown, tab);
    this.selection.update();
    this.panel.setAttribute("aria-labelledby", `tab-${tab.id}`);
    this.show(tab);
  }

  /** Mount a tab, or update it if it is the one that is mounted. An error of a tab stays in the tab. */
  async show(tab) {
    try {
      if (this.open_?.tab === tab) {
        await this.open_.view?.update();
        return this.hover.mark();
      }
      this.open_?.view?.unmount();
      this.open_ = { tab, view: null };
      this.open_.view = tab.mount(this.page);
      const hadFocus = this.panel.contains(document.activeElement);
      fill(this.panel, this.open_.view.root);
      if (hadFocus) this.panel.focus({ preventScroll: true });
      await this.open_.view.update();
      if (this.open_.tab === tab) this.goBackTo(this.state.returned);
    } catch (error) {
      if (this.open_?.tab !== tab) return;
      try {
        this.open_.view?.unmount();
      } finally {
        this.open_ = { tab: null, view: null };
        fill(this.panel, failure(this.page, error));
      }
    }
  }

  /** Give the focus to what had it when the view was left, once Back has led to it again. */
  goBackTo(place) {
    this.state.returned = null;
    if (!place || ![this.panel, document.body].includes(document.activeElement)) return;
    this.open_.view.reveal?.(place);
    if ([this.panel, document.body].includes(document.activeElement))
      [...this.panel.querySelectorAll(place.tag)].find((each) => isAt(each, place))?.focus({ preventScroll: true });
    document.activeElement.scrollIntoView({ block: "nearest" });
  }

  /** A link within the page: the history learns where the reader was. */
  followed(event) {
    const link = event.target.closest?.('a[href^="#"]');
    if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    link.focus({ preventScroll: true });
    this.state.follow(link.getAttribute("href"));
  }

  /** Show everything as it is printed, light and as wide as the paper, before the browser lays the pages out; or no longer. */
  print(printing) {
    if (printing === this.printing) return;
    this.printing = printing;
    document.documentElement.classList.toggle("printing", printing);
    this.applyTheme();
    dispatchEvent(new Event("printing"));
    const time = new Intl.DateTimeFormat(this.texts.language, { dateStyle: "long", timeStyle: "short" }).format(new Date());
    const command = ["runner dashboard", ...(this.overview?.folders ?? [])].join(" ");
    fill(this.printed, this.page.text("print.line", { time, command, view: decodeURI(this.state.fragment()) }));
    this.update();
  }

  choose(key, value) {
    remember(key, value);
    this.state.set({ [key]: value });
  }

  async applyLanguage() {
    const language = firstLanguage(this.state.get("lang"), recall("lang"), navigator.languages);
    if (language === this.texts.language && this.texts.strings.size) return;
    await this.texts.use(language);
    document.documentElement.lang = language === "zh" ? "zh-CN" : language;
  }

  applyTheme() {
    const theme = this.printing ? "light" : this.state.get("theme") || recall("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  }

  /** Take ids out of the address that the data do not have, and say so. */
  dropStale() {
    const { state, trials } = this;
    const changes = {};
    for (const key of ["pin", "hide"]) {
      const known = state.list(key).filter((id) => trials.byId.has(id));
      if (known.length < state.list(key).length) changes[key] = known.join(",");
    }
    if (state.get("base") && !trials.byId.has(state.get("base"))) changes.base = "";
    if (state.get("metric") && !trials.metrics.includes(state.get("metric"))) changes.metric = "";
    if (!Object.keys(changes).length) return;
    const dropped = [...state.dropped, ...Object.keys(changes)];
    state.set(changes);
    state.dropped = dropped;
    trials.read();
  }

  // ------------------------------------------------------------------------------------------------------- what is said
  /** The lines above the tab: the server has gone, parts of the address were dropped. */
  notices() {
    const { page, state } = this;
    const lines = [];
    if (this.gone) {
      const time = new Intl.DateTimeFormat(this.texts.language, { hour: "2-digit", minute: "2-digit" }).format(this.gone);
      lines.push(h("p", { class: "notice strong" }, page.text("server.gone", { time })));
    }
    const tabs = TABS.map((tab) => tab.id);
    const dropped = [...state.dropped, ...(tabs.includes(state.tab) ? [] : [state.tab])];
    if (dropped.length) {
      const close = () => {
        state.dropped = [];
        if (!tabs.includes(state.tab)) state.set({ tab: TABS[0].id });
        this.notices();
      };
      const text = page.text("address.dropped", { parts: dropped });
      lines.push(
        h("p", { class: "notice" }, text, " ", h("button", { type: "button", class: "quiet", onclick: close }, page.text("dismiss"))),
      );
    }
    const shown = JSON.stringify(lines.map((line) => line.textContent));
    if (shown === this.noticed) return; // said again by a screen reader otherwise
    this.noticed = shown;
    fill(this.banner, lines);
  }

  /** Say a sentence to screen readers, news of runs at most every 10 seconds. */
  announce(sentence, news = false) {
    const now = Date.now();
    if (news && now - this.announced < ANNOUNCE_MS) return;
    if (news) this.announced = now;
    fill(this.live, sentence);
  }

  tellFinished(before, after) {
    const done = after.runs.done ?? 0;
    const failed = after.runs.failed ?? 0;
    if (done === (before.runs.done ?? 0) && failed === (before.runs.failed ?? 0)) return;
    const all = Object.values(after.runs).reduce((sum, count) => sum + count, 0);
    this.announce(this.page.text("announce.runs", { done, failed, all }), true);
  }

  key(event) {
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") this.selection.focusFilter();
    else if (event.key === "?") showHelp(this.page, this.open_?.tab);
    else if (/^[1-9]$/.test(event.key)) this.tabBar.choose(Number(event.key) - 1);
    else return;
    event.preventDefault();
  }
}

/** What tells an element from others after its view was made anew; null outside of the panel. */
function placeOf(element, panel) {
  if (!element || element === panel || !panel?.contains(element)) return null;
  const row = element.closest("[data-id]")?.dataset.id ?? "";
  return { tag: element.tagName.toLowerCase(), row, key: element.dataset.key ?? "", name: nameOf(element) };
}

function isAt(element, { key, name }) {
  return key ? element.dataset.key === key : nameOf(element) === name;
}

function nameOf(element) {
  return `${element.getAttribute("href") ?? ""} ${element.ariaLabel ?? ""} ${element.textContent.slice(0, 200)}`;
}

/** What a tab is given (see tabs.js). */
function makePage(frame) {
  return {
    source: frame.source,
    state: frame.state,
    hover: frame.hover,
    get trials() {
      return frame.trials;
    },
    get overview() {
      return frame.overview;
    },
    get printing() {
      return frame.printing;
    },
    get language() {
      return frame.texts.language;
    },
    text: (id, values) => frame.texts.text(id, values),
    note: (note) => frame.texts.note(note),
    sentence: (note) => frame.texts.sentence(note),
    number: showNumber,
    signed: showSigned,
    range: showRange,
    summary: showSummary,
    duration: showDuration,
    memory: showMemory,
    value: showValue,
    announce: (sentence) => frame.announce(sentence),
  };
}
