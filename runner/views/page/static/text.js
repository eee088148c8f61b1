// Texts of the page in the reader's language. Templates are a small part of ICU's message format:
//   {name}                                   an argument
//   {name, fixed} {name, signed} {name, times} {name, duration}   a number as format.js writes it (times: 2.0)
//   {name, count}                            a number of things with the language's separators: 5,000
//   {name, plural, one {# run} other {# runs}}      by Intl.PluralRules; # is the number
//   {name, select, better {…} other {…}}     by the argument's text; "none" where it is missing or empty
//   {name, each, {key}: {value}}             for each entry of an object or list, joined by the language's comma
//   {name, trial}                            the name of a trial in a sentence of the report
import { prose, verbatim } from "./dom.js";
import { showDuration, showNumber, showSigned } from "./format.js";

export const LANGUAGES = Object.freeze({ en: "English", zh: "中文" });

/** Split "head, kind, rest" of an argument at commas outside of braces. */
function splitArgument(text) {
  const match = /^\s*(\w+)\s*(?:,\s*(\w+)\s*(?:,([\s\S]*))?)?$/.exec(text);
  if (!match) throw new Error(`not an argument: {${text}}`);
  return { name: match[1], kind: match[2] ?? "", rest: match[3] ?? "" };
}

/** Index behind the brace that closes the one at `from`. */
function closing(text, from) {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === "{") depth += 1;
    else if (text[at] === "}" && (depth -= 1) === 0) return at + 1;
  }
  throw new Error(`brace is not closed: ${text}`);
}

/** "one {# run} other {# runs}" as a map. */
function cases(text) {
  const found = new Map();
  for (let at = 0; at < text.length;) {
    const open = text.indexOf("{", at);
    if (open < 0) break;
    const end = closing(text, open);
    found.set(text.slice(at, open).trim(), text.slice(open + 1, end - 1));
    at = end;
  }
  return found;
}

const COMMA = { en: ", ", zh: "、" };

/** Names of trials as the report's sentences have them, in Chinese; names of keys and their values stay. */
function trialName(name, language) {
  if (language !== "zh") return name;
  return String(name)
    .replace(/^the baseline(?: \((.*)\))?$/s, (_, value) => (value === undefined ? "基线" : `基线（${value}）`))
    .replace(/^trial (\d+)(?: \((.*)\))?$/s, (_, number, label) =>
      label === undefined ? `试验组 ${number}` : `试验组 ${number}（${label}）`,
    );
}

function argument(text, values, language) {
  const { name, kind, rest } = splitArgument(text);
  const value = values[name];
  const none = value === undefined || value === null || value === "" || (typeof value === "object" && Object.keys(value).length === 0);
  if (kind === "") return none ? "" : String(value);
  if (kind === "fixed") return showNumber(value);
  if (kind === "signed") return showSigned(value);
  if (kind === "duration") return showDuration(value);
  if (kind === "count") return showCount(value, language);
  if (kind === "times") return showNumber(value, 1);
  if (kind === "trial") return (Array.isArray(value) ? value : [value]).map((each) => trialName(each, language)).join(COMMA[language]);
  if (kind === "each") {
    const entries = Array.isArray(value) ? value.map((item, index) => [index, item]) : Object.entries(value ?? {});
    return entries.map(([key, item]) => format(rest.trim(), { ...values, key, value: item }, language)).join(COMMA[language]);
  }
  const found = cases(rest);
  if (kind === "plural") {
    const number = Array.isArray(value) ? value.length : Number(value);
    const one = found.get(`=${number}`) ?? found.get(new Intl.PluralRules(language).select(number)) ?? found.get("other");
    return format(one.replaceAll("#", showCount(number, language)), values, language);
  }
  if (kind === "select") return format(found.get(none ? "none" : String(value)) ?? found.get("other") ?? "", values, language);
  throw new Error(`no kind ${kind}: {${text}}`);
}

/** A space between a Chinese character and a Latin letter or digit where an argument begins or ends. */
function spaced(before, after, language) {
  if (language !== "zh") return "";
  return (/[\u4e00-\u9fff]$/.test(before) && /^[\w+]/.test(after)) || (/\w$/.test(before) && /^[\u4e00-\u9fff]/.test(after)) ? " " : "";
}

/** Fill in a template. */
export function format(template, values, language) {
  let result = "";
  for (let at = 0; at < template.length;) {
    const open = template.indexOf("{", at);
    if (open < 0) return result + template.slice(at);
    const end = closing(template, open);
    const filled = argument(template.slice(open + 1, end - 1), values, language);
    result += template.slice(at, open);
    result += spaced(result, filled, language) + filled + spaced(filled, template.slice(end), language);
    at = end;
  }
  return result;
}

/** A count with the language's separators: 5,000. */
export function showCount(number, language) {
  return new Intl.NumberFormat(language).format(number);
}

/** The texts of one language at a time. */
export class Texts {
  constructor(source) {
    this.source = source;
    this.language = "en";
    this.strings = new Map();
  }

  async use(language) {
    this.strings = new Map(Object.entries(await this.source.strings(language)));
    this.language = language;
  }

  /** The text of that id; the id itself where there is none, so that a missing text is seen. */
  text(id, values = {}) {
    return this.strings.has(id) ? format(this.strings.get(id), values, this.language) : id;
  }

  /** A note of the report, {id, arguments, text}: in English as it is, else by its id where the language has it. */
  note(note) {
    const id = `note.${note.id}`;
    return this.strings.has(id) ? this.text(id, note.arguments) : note.text;
  }

  /** A note as children of an element: code where its own text marks it, nothing but text where a name or value of a run has such marks. */
  sentence(note) {
    const id = `note.${note.id}`;
    if (this.strings.has(id)) return prose(this.text(id, eachText(note.arguments, verbatim)));
    let { text } = note;
    if (note.id !== "given") eachText(note.arguments, (value) => (text = textOfValue(text, value)));
    return prose(text);
  }
}

/** A value with `change` applied to every text in it. */
function eachText(value, change) {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((item) => eachText(item, change));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [change(key), eachText(item, change)]));
}

/** An English sentence in which the backticks of an argument are text; the sentence may have its first letter as a capital. */
function textOfValue(text, value) {
  if (!value.includes("`")) return text;
  const found = value.startsWith("`") ? value : value.slice(1);
  return text.replaceAll(found, () => verbatim(found));
}

/** The language to begin with: that of the address, then the saved one, then the browser's. */
export function firstLanguage(fromAddress, saved, browser) {
  const known = [fromAddress, saved].find((language) => Object.hasOwn(LANGUAGES, language ?? ""));
  return known ?? (browser.some((language) => /^zh\b/i.test(language)) && !/^en\b/i.test(browser[0]) ? "zh" : "en");
}
