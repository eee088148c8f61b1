// Tab Run: one run. Its state and attempts, config as a difference, environment, samples, files, log and the commands for it.
import { commandBlock } from "../copy.js";
import { fill, h } from "../dom.js";
import { trialSwatch } from "../swatch.js";
import { firstLine } from "../trial-columns.js";

const LOG_LINES = "500";
const SHOWN_VALUES = ["train/loss", "train/lr", "train/images_per_s", "resource/memory_gib", "resource/gpu_memory_gib"];
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export const runTab = {
  id: "run",
  keys: { id: "", whole: "" },
  shows: (overview, state) => state.tab === "run",
  mount: (page) => new RunView(page),
};

class RunView {
  constructor(page) {
    this.page = page;
    this.sections = Object.fromEntries(
      ["head", "attempts", "config", "environment", "samples", "log", "files", "commands"].map((name) => [
        name,
        h("section", { class: `run-${name}` }),
      ]),
    );
    const { head, attempts, config, environment, samples, log, files, commands } = this.sections;
    this.root = h("div", { class: "run-view" }, head, attempts, config, samples, log, commands, environment, files);
    this.samples = new Samples(page, samples);
    this.log = new Log(page, log);
    this.config = new Config(page, config);
  }

  unmount() {
    this.unmounted = true;
  }

  async update() {
    const { page } = this;
    const id = page.state.get("id") || page.trials.runs.keys().next().value || "";
    const base = page.state.get("base");
    const wanted = { id, ...(base ? { base } : {}) };
    const query = page.source.holds("run", wanted) ? wanted : { id }; // a file has the comparison with the sweep's baseline
    const view = await page.source.json("run", query);
    if (this.unmounted || (page.state.get("id") || id) !== id) return;
    const { sections } = this;
    fill(sections.head, this.head(view));
    fill(sections.attempts, title(page, "run.attempts"), this.attempts(view));
    this.config.update(view, query);
    fill(sections.environment, title(page, "run.environment"), this.environment(view));
    fill(sections.files, title(page, "run.files"), this.files(view));
    fill(
      sections.commands,
      title(page, "run.commands"),
      view.commands.map((each) => [
        h("p", { class: "small muted" }, page.text(`run.command.${each.purpose}`, each)),
        commandBlock(page, each.command),
      ]),
    );
    for (const part of ["config", "log", "commands"]) sections[part].hidden = view.imported !== "";
    this.samples.update(view);
    await this.log.update(view);
  }

  head(view) {
    const { page } = this;
    const { trials } = page;
    const members = trials.byId.get(view.trial)?.runs.map((run) => trials.runs.get(run)) ?? [];
    const links = members.map((run) =>
      h(
        "a",
        { href: page.state.fragment({ tab: "run", id: run.id }), "aria-current": run.id === view.id ? "page" : null },
        String(run.seed),
      ),
    );
    const steps = view.steps
      ? page.text("run.steps", { step: view.step, steps: view.steps })
      : page.text("trials.step", { step: view.step });
    const problems = [
      ["reason", view.reason],
      ["problem", view.problem],
      ["warning", view.warning],
      ["note", view.note],
    ].filter(([, text]) => text);
    return [
      h("h2", { class: "run-name" }, view.name),
      h(
        "p",
        { class: "small" },
        trialSwatch(trials.color(view.trial)),
        " ",
        trials.byId.has(view.trial) ? trials.label(view.trial) : view.label,
        view.imported ? null : h(
          "span",
          { class: "seeds" },
          page.text("run.seeds"),
          " ",
          links.flatMap((link) => [link, " "]),
        ),
      ),
      h(
        "p",
        {},
        h("span", { class: `state ${view.state}` }, page.text(`state.${view.state}`)),
        h(
          "span",
          { class: "muted" },
          ` · ${steps}`,
          view.heartbeat ? ` · ${page.text("run.heartbeat", { time: moment(page, view.heartbeat) })}` : "",
        ),
      ),
      view.imported ? h("p", { class: "text" }, page.text("run.imported", { from: view.imported })) : null,
      problems.map(([kind, text]) =>
        h("div", { class: `said ${kind}` }, h("p", { class: "small muted" }, page.text(`run.${kind}`)), h("p", { class: "text" }, text)),
      ),
      this.values(view),
    ];
  }

  /** Newest numbers: of the metrics, then of speed and memory. */
  values(view) {
    const { page } = this;
    const run = page.trials.runs.get(view.id);
    const metrics = page.trials.metrics
      .filter((tag) => run?.values[tag] !== undefined)
      .slice(0, 3)
      .map((tag) => [tag, page.number(run.values[tag])]);
    const others = SHOWN_VALUES.filter((tag) => view.values[tag] !== undefined).map((tag) => [
      tag,
      page.value(typeof view.values[tag] === "number" ? Number(view.values[tag].toPrecision(4)) : view.values[tag]),
    ]);
    const time = run?.time_s ? [[page.text("trials.time"), page.duration(run.time_s)]] : [];
    const all = [...metrics, ...time, ...others];
    return all.length
      ? h(
          "dl",
          { class: "numbers" },
          all.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
        )
      : null;
  }

  attempts(view) {
    const { page } = this;
    if (!view.attempts.length) return h("p", { class: "muted" }, page.text("run.no-attempts"));
    const most = Math.max(1, view.steps, ...view.attempts.map((each) => each.last_step ?? 0));
    return h(
      "ol",
      { class: "attempts" },
      view.attempts.map((attempt) => {
        const [from, to] = [attempt.first_step ?? 0, attempt.last_step ?? attempt.first_step ?? 0];
        const strip = h("span", {
          class: `strip ${attempt.end || "running"}`,
          style: { "margin-left": `${(100 * from) / most}%`, width: `${(100 * Math.max(0, to - from)) / most}%` },
        });
        const began = page.text(from > 0 ? "run.attempt.resumed" : "run.attempt.started", {
          number: attempt.number,
          step: from,
          time: moment(page, attempt.started),
        });
        const ended = attempt.end
          ? page.text(`run.end.${attempt.end}`, { step: to, time: moment(page, attempt.ended) })
          : page.text("run.end.running", { step: to });
        return h(
          "li",
          {},
          h("div", { class: "track", "aria-hidden": "true" }, strip),
          h("p", {}, began, " ", h("span", { class: `state ${attempt.end}` }, ended)),
          attempt.reason ? h("p", { class: "small text" }, attempt.reason) : null,
        );
      }),
    );
  }

  environment(view) {
    const { page } = this;
    const differing = view.environment.filter((fact) => fact.differs);
    const rows = (facts) => facts.map((fact) => [fact.name, fact.value ?? "–", ...(view.baseline ? [fact.baseline ?? "–"] : [])]);
    const head = [
      page.text("run.fact"),
      page.text("run.this"),
      ...(view.baseline ? [page.text("run.baseline", { name: nameOf(page, view.baseline) })] : []),
    ];
    const same = differing.length ? "" : "run.same-environment";
    const alone = view.imported ? "" : "run.is-baseline";
    const said = !view.environment.length ? "run.no-facts" : view.baseline ? same : alone;
    return [
      said ? h("p", { class: "muted" }, page.text(said)) : null,
      differing.length ? table(page.text("run.environment.differs"), head, rows(differing)) : null,
      view.environment.length
        ? h(
            "details",
            { open: view.imported !== "" },
            h("summary", {}, page.text("run.environment.all", { n: view.environment.length })),
            table(page.text("run.environment"), head, rows(view.environment)),
          )
        : null,
    ];
  }

  files(view) {
    const { page } = this;
    const rows = view.files.map((file) => [
      file.name,
      file.link ? page.text("run.link") : showSize(file.size),
      file.name.endsWith("/") ? page.text("run.file-count", { n: file.files }) : "",
    ]);
    const total = view.files.reduce((sum, file) => sum + file.size, 0);
    return h(
      "details",
      {},
      h("summary", {}, page.text("run.files.summary", { n: view.files.length, size: showSize(total) })),
      table(page.text("run.files"), [page.text("run.file"), page.text("run.size"), ""], rows, [1]),
    );
  }
}

/** The config: what differs from the baseline's, or all of it, with a search. */
class Config {
  constructor(page, root) {
    this.page = page;
    this.search = h("input", { type: "search", id: "config-search", autocomplete: "off", spellcheck: "false" });
    this.search.addEventListener("input", () => this.draw());
    this.label = h("label", { for: "config-search" });
    this.whole = h("button", { type: "button", onclick: () => page.state.set({ whole: page.state.get("whole") ? "" : "1" }) });
    this.title = h("h2");
    this.tools = h("div", { class: "bar-of-tools" }, this.whole, this.label, this.search);
    this.said = h("p", { class: "muted" });
    this.content = h("div");
    fill(root, this.title, this.tools, this.said, this.content);
  }

  async update(view, query) {
    const { page } = this;
    const isWhole = page.state.get("whole") !== "";
    this.view = view;
    this.rows = view.config;
    this.problem = "";
    fill(this.title, page.text("run.config"));
    fill(this.label, page.text("run.config.search"));
    fill(this.whole, page.text(isWhole ? "run.config.differing" : "run.config.whole", { n: view.keys }));
    this.whole.setAttribute("aria-pressed", String(isWhole));
    const whole = { ...query, config: "whole" };
    this.whole.hidden = !isWhole && !page.source.holds("run", whole);
    this.draw();
    if (!isWhole) return;
    try {
      const { config } = await page.source.json("run", whole);
      if (this.view === view) this.rows = config;
    } catch (error) {
      this.problem = error.message;
    }
    this.draw();
  }

  draw() {
    const { page, view } = this;
    const isWhole = page.state.get("whole") !== "";
    this.search.hidden = this.label.hidden = !isWhole;
    const sought = isWhole ? this.search.value.trim().toLowerCase() : "";
    const rows = this.rows.filter((row) => `${row.key} ${row.value} ${row.baseline ?? ""}`.toLowerCase().includes(sought));
    const none = isWhole
      ? page.text("run.config.none-found", { text: sought })
      : page.text(view.baseline ? "run.same-config" : "run.is-baseline");
    const said = this.problem || view.config_problem || (rows.length ? "" : none);
    this.said.hidden = !said;
    fill(this.said, said);
    const others = view.baseline ? [page.text("run.baseline", { name: nameOf(page, view.baseline) })] : [];
    const head = [page.text("run.key"), page.text("run.this"), ...others, page.text("run.source")];
    const cells = (row) => [row.key, row.value ?? "–", ...(view.baseline ? [row.baseline ?? "–"] : []), row.source];
    fill(this.content, rows.length ? table(page.text("run.config"), head, rows.map(cells)) : null);
  }
}

/** The samples of a run: images of one step, chosen by a slider. */
class Samples {
  constructor(page, root) {
    this.page = page;
    this.root = root;
    this.title = h("h2");
    this.slider = h("input", { type: "range", min: 0, step: 1, id: "sample-step" });
    this.slider.addEventListener("input", () => this.draw());
    this.label = h("label", { for: "sample-step" });
    this.images = h("div", { class: "samples" });
    this.absent = h("p", { class: "small muted" });
    this.tools = h("div", { class: "bar-of-tools" }, this.label, this.slider);
    fill(root, this.title, this.absent, this.tools, this.images);
  }

  async update(view) {
    const { page } = this;
    const media = view.media.filter((each) => each.id);
    const steps = [...new Set(media.map((each) => each.step))];
    const follows = !this.steps || this.run !== view.id || Number(this.slider.value) === this.steps.length - 1;
    this.root.hidden = media.length === 0;
    Object.assign(this, { media, steps, run: view.id });
    fill(this.title, page.text("run.samples"));
    this.slider.setAttribute("max", String(Math.max(0, steps.length - 1)));
    if (follows) this.slider.value = String(steps.length - 1);
    this.slider.hidden = steps.length < 2;
    const inFile = !page.source.frozen || !media.length || (await page.source.image(media[0].id)) !== null;
    this.absent.hidden = inFile;
    this.tools.hidden = this.images.hidden = !inFile;
    fill(this.absent, page.text("run.samples.not-in-file", { n: media.length }));
    this.draw();
  }

  draw() {
    const { page } = this;
    const step = this.steps[Number(this.slider.value)];
    if (step === undefined) return;
    fill(this.label, page.text("trials.step", { step }));
    this.slider.setAttribute("aria-valuetext", page.text("trials.step", { step }));
    const shown = this.media.filter((each) => each.step === step);
    const signature = JSON.stringify([page.language, shown.map((each) => each.id)]);
    if (signature === this.signature) return;
    this.signature = signature;
    fill(
      this.images,
      shown.map((each) => this.figure(each)),
    );
  }

  figure(medium) {
    const { page } = this;
    const place = h("div", { class: "picture" });
    page.source.image(medium.id).then((address) => {
      const absent = () => fill(place, h("span", { class: "small muted" }, page.text("run.no-image")));
      if (address)
        fill(
          place,
          h("img", {
            src: address,
            alt: page.text("run.sample.alt", { tag: medium.tag, step: medium.step }),
            loading: "lazy",
            onerror: absent,
          }),
        );
      else absent();
    });
    return h("figure", {}, place, h("figcaption", { class: "small muted" }, medium.tag));
  }
}

/** The end of the log. It follows as long as its end is in view. */
class Log {
  constructor(page, root) {
    this.page = page;
    this.root = root;
    this.title = h("h2");
    this.said = h("p", { class: "small muted" });
    this.lines = h("pre", { class: "log", tabindex: "0" });
    fill(root, this.title, this.said, this.lines);
  }

  async update(view) {
    const { page, lines } = this;
    fill(this.title, page.text("run.log"));
    lines.setAttribute("aria-label", page.text("run.log"));
    lines.setAttribute("role", "region");
    let tail = { lines: [], problem: "", cut: false };
    try {
      tail = await page.source.json("run", { id: view.id, log: LOG_LINES });
    } catch (error) {
      tail.problem = page.source.frozen ? page.text("run.log.not-in-file") : error.message;
    }
    const atEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 8;
    const moved = this.run !== view.id;
    this.run = view.id;
    const said = this.sentence(tail);
    fill(this.said, said);
    this.said.hidden = !said;
    lines.hidden = tail.lines.length === 0;
    const text = tail.lines.join("\n");
    if (text === lines.textContent && !moved) return;
    fill(lines, text);
    if (atEnd || moved) lines.scrollTop = lines.scrollHeight;
  }

  /** What is said above the lines; empty where they are the whole log. */
  sentence(tail) {
    const { page } = this;
    if (tail.problem) return page.text("run.log.problem", { problem: firstLine(tail.problem) });
    if (!tail.lines.length) return page.text("run.log.empty");
    return tail.cut ? page.text("run.log.cut", { n: tail.lines.length, size: showSize(tail.size) }) : "";
  }
}

function title(page, id) {
  return h("h2", {}, page.text(id));
}

function nameOf(page, run) {
  return page.trials.runs.get(run)?.name ?? run;
}

/** A table of texts; the first cell of each row names it. `numbers`: indices of columns of numbers. */
function table(caption, head, rows, numbers = []) {
  const kind = (at) => (numbers.includes(at) ? "number" : null);
  const body = rows.map(([first, ...rest]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, first),
      rest.map((cell, at) => h("td", { class: kind(at + 1) }, cell)),
    ),
  );
  return h(
    "div",
    { class: "scroller", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      { class: "plain" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          head.map((cell, at) => (cell ? h("th", { scope: "col", class: kind(at) }, cell) : h("td"))),
        ),
      ),
      h("tbody", {}, body),
    ),
  );
}

/** A point in time, in the reader's zone; a dash for none. */
function moment(page, seconds) {
  if (!seconds) return "–";
  return new Intl.DateTimeFormat(page.language, { dateStyle: "medium", timeStyle: "medium" }).format(new Date(seconds * 1000));
}

/** Bytes as "12.3 MiB". */
function showSize(bytes) {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit ? value.toFixed(1) : value} ${UNITS[unit]}`;
}
