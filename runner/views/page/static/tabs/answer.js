// Tab Answer: what one would tell a colleague. Warnings, the sentences of the report, the differences, noise, cost, what is not counted.
import { copyable } from "../copy.js";
import { fill, h } from "../dom.js";

export const answerTab = { id: "answer", keys: {}, mount: (page) => new AnswerView(page) };

class AnswerView {
  constructor(page) {
    this.page = page;
    this.root = h("div", { class: "answer" });
  }

  async update() {
    const { page } = this;
    const { problem, report } = await page.source.json("report");
    if (!report) fill(this.root, h("p", {}, page.text(problem ? "answer.none" : "answer.computing", { problem })));
    else fill(this.root, warnings(page, report.warnings ?? []), sentences(page, report.answer));
  }

  unmount() {}
}

function warnings(page, notes) {
  if (!notes.length) return null;
  const title = page.text("answer.warnings", { n: notes.length });
  return h("section", { class: "warnings" }, h("h2", {}, title), h("ul", {}, notes.map((note) => h("li", {}, page.note(note)))));
}

/** The answer: its first sentence large, commands as blocks to copy. */
function sentences(page, notes) {
  const blocks = [];
  let text = [];
  const end = () => {
    if (text.length) blocks.push(h("p", {}, text.join(page.language === "zh" ? "" : " ")));
    text = [];
  };
  for (const [index, note] of notes.entries()) {
    if (note.id === "command") {
      end();
      blocks.push(copyable(page, note.text));
    } else if (index === 0) blocks.push(h("p", { class: "lead" }, page.note(note)));
    else text.push(page.note(note));
  }
  end();
  return h("section", {}, h("h2", { class: "offscreen" }, page.text("answer")), blocks);
}
