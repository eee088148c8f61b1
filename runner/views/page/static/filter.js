// The filter language of the selection bar: pure functions.
//
//   resnet /lr=1e-[34]/ "two words"   in the trial's label or the name of one of its runs (words: without regard to case)
//   base_lr=0.002  batch_size>8       a key of the config, by its last parts
//   bbox/AP>0.4  AP50<=0.6            a metric: of the mean over seeds; of the newest evaluation where no seed is done
//   state:failed  seed:0  trial:3  reason:memory
//   -term negates, a space means and, `or` separates alternatives
//
// `parseFilter(text, names)` returns {error: null, trial(trial, runs), run(trial, run)}, or {error: {id, …arguments}}.

const OPERATORS = {
  "=": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
};
const FIELDS = ["state", "seed", "trial", "reason"];
const TERM = /^(-?)(?:"([^"]*)"|\/((?:[^/\\]|\\.)+)\/(?=\s|$)|((?!-?\/)[^\s"]+(?:"[^"]*")?))(?:\s+|$)/;

class FilterError extends Error {
  constructor(id, values = {}) {
    super(id);
    this.problem = { id, ...values };
  }
}

/** Names that may stand before an operator: {keys: dotted keys, tags, labels}. */
export function parseFilter(text, names) {
  try {
    const any = alternatives(text.trim()).map((terms) => terms.map((term) => compile(term, names)));
    const holds = (subject) => any.length === 0 || any.some((all) => all.every((test) => test(subject)));
    return {
      error: null,
      trial: (trial, runs) => holds({ trial, runs, values: (tag) => trialValues(trial, runs, tag) }),
      run: (trial, run) => holds({ trial, runs: [run], values: (tag) => [run.values[tag]] }),
    };
  } catch (error) {
    if (error instanceof FilterError) return { error: error.problem };
    throw error;
  }
}

function trialValues(trial, runs, tag) {
  const mean = trial.metrics[tag]?.mean;
  return mean === null || mean === undefined ? runs.map((run) => run.values[tag]) : [mean];
}

/** The terms of a filter as they were written, in a list per alternative; of a filter that is wrong there are none. */
export function writtenTerms(text) {
  try {
    return alternatives(text.trim()).map((terms) => terms.map(({ raw }) => raw));
  } catch (error) {
    if (error instanceof FilterError) return [];
    throw error;
  }
}

/** Split a filter at `or` into lists of terms, each {negated, raw, word} or {negated, raw, pattern}. */
function alternatives(text) {
  const found = [[]];
  let rest = text;
  while (rest) {
    const match = TERM.exec(rest);
    if (!match)
      throw new FilterError(rest.startsWith("/") || rest.startsWith("-/") ? "filter.unclosed-pattern" : "filter.unclosed-quote", {
        term: rest,
      });
    const [whole, minus, quoted, pattern, word] = match;
    rest = rest.slice(whole.length);
    const term = { negated: minus === "-", raw: whole.trim() };
    if (word === "or" && !minus) found.push([]);
    else if (pattern !== undefined) found.at(-1).push({ ...term, pattern });
    else found.at(-1).push({ ...term, word: quoted ?? word, quoted: quoted !== undefined });
  }
  if (text && found.some((terms) => terms.length === 0)) throw new FilterError("filter.empty-or");
  return text ? found : [];
}

function compile(term, names) {
  const test = term.pattern !== undefined ? pattern(term.pattern) : term.quoted ? word(term.word) : field(term.word, names);
  return term.negated ? (subject) => !test(subject) : test;
}

const named = (subject) => [subject.trial.label, ...subject.runs.map((run) => run.name)];

function word(text) {
  const sought = text.toLowerCase();
  return (subject) => named(subject).some((name) => name.toLowerCase().includes(sought));
}

function pattern(source) {
  let expression;
  try {
    expression = new RegExp(source, "i");
  } catch {
    throw new FilterError("filter.bad-pattern", { term: source });
  }
  return (subject) => named(subject).some((name) => expression.test(name));
}

function field(text, names) {
  const colon = /^([a-z]+):(.*)$/s.exec(text);
  if (colon && FIELDS.includes(colon[1])) return special(colon[1], unquoted(colon[2]));
  const match = /^([^=<>!]+)(!=|<=|>=|=|<|>)(.*)$/s.exec(text);
  if (!match) {
    if (colon && !names.labels.some((label) => label.includes(text)))
      throw new FilterError("filter.no-field", { name: colon[1], known: FIELDS.map((each) => `${each}:`).join(", ") });
    return word(text);
  }
  const [, name, operator, value] = [match[0], match[1], match[2], unquoted(match[3])];
  const key = resolve(name, names.keys, ".");
  const tag = key === null ? resolve(name, names.tags, "/") : null;
  if (key === null && tag === null) {
    if (operator === "=" && names.labels.some((label) => label.includes(`${name}=`))) return word(text);
    throw new FilterError("filter.no-key", { name, nearest: nearest(name, [...names.keys, ...names.tags]) });
  }
  if (value === "") throw new FilterError("filter.no-value", { name, operator });
  if (tag !== null || operator.includes("<") || operator.includes(">")) {
    if (!isNumber(value)) throw new FilterError("filter.not-a-number", { name, value });
  }
  const compare = OPERATORS[operator];
  if (tag !== null) return (subject) => subject.values(tag).some((found) => typeof found === "number" && compare(found, Number(value)));
  return (subject) => compareValue(subject.trial.parameters[key], operator, compare, value);
}

const unquoted = (text) => text.replace(/^"(.*)"$/s, "$1");
const isNumber = (text) => text.trim() !== "" && Number.isFinite(Number(text));

function compareValue(found, operator, compare, sought) {
  if (typeof found === "number" && isNumber(sought)) return compare(found, Number(sought));
  if (operator !== "=" && operator !== "!=") return false;
  const shown = found !== null && typeof found === "object" ? JSON.stringify(found) : String(found);
  return compare(shown.replaceAll(" ", "").toLowerCase(), sought.replaceAll(" ", "").toLowerCase());
}

function special(name, value) {
  if (value === "") throw new FilterError("filter.no-value", { name, operator: ":" });
  if (name === "trial") return (subject) => String(subject.trial.number) === value;
  if (name === "reason") return (subject) => subject.runs.some((run) => run.reason.toLowerCase().includes(value.toLowerCase()));
  return (subject) => subject.runs.some((run) => String(run[name]) === value);
}

/** The only name that equals `part` or ends with it, behind a separator; null if there is none. The first one where there are several. */
function resolve(part, every, separator) {
  return every.find((each) => each === part) ?? every.find((each) => each.endsWith(separator + part)) ?? null;
}

/** The most alike of some names: the one that shares most pairs of letters; empty where none shares any. */
function nearest(name, every) {
  const pairs = (text) => new Set([...text.toLowerCase()].map((letter, at, all) => letter + (all[at + 1] ?? "")));
  const own = pairs(name);
  const score = (other) => {
    const theirs = pairs(other.split(/[./]/).at(-1));
    return [...own].filter((pair) => theirs.has(pair)).length / Math.max(own.size, theirs.size);
  };
  const best = every.map((other) => [score(other), other]).sort((a, b) => b[0] - a[0])[0];
  return best && best[0] > 0 ? best[1] : "";
}
