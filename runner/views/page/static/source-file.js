// The data of a frozen file: answers that freeze.py wrote into it. The same methods as those of source-http.js; nothing changes, nothing is
// asked of a server.
//
// Element #frozen lists what there is: {version, made, view, strings: {language: texts}, parts: {part: [element, coding, queries]}, bytes:
// [{part, query, media, element, coding}]}. An element of `parts` holds the list of the answers to its queries as JSON. Codings: "" as it
// is; "base64"; "gzip": base64 of gzip; {words: n}: gzip, and of what is behind byte n, which is a sequence of 4-byte words, first all
// first bytes stand, then all second ones, …: that compresses better.
import { addressQuery } from "./source-query.js";

export class FileSource {
  frozen = true;

  constructor() {
    const { strings, parts, bytes, ...facts } = JSON.parse(read("frozen"));
    Object.assign(this, facts, { texts: strings, language: "en", parts: new Map(Object.entries(parts)), read: new Map() });
    this.images = bytes.filter(({ part }) => part === "image").length;
    const queries = [...this.parts].flatMap(([part, [, , asked]]) => asked.map((query) => part + addressQuery(query)));
    this.held = new Set([...queries, ...bytes.map(({ part, query }) => part + addressQuery(query))]);
    this.bytes = new Map(bytes.map((each) => [each.part + addressQuery(each.query), each]));
  }

  async json(part, query = {}) {
    if (!this.parts.has(part)) this.refuse();
    if (!this.read.has(part)) this.read.set(part, this.answers(part));
    const answers = await this.read.get(part);
    const address = addressQuery(query);
    return answers.has(address) ? answers.get(address) : this.refuse();
  }

  holds(part, query = {}) {
    return this.held.has(part + addressQuery(query));
  }

  /** The answers of a part by the address of their queries. */
  async answers(part) {
    const [element, coding, queries] = this.parts.get(part);
    const text = coding ? new TextDecoder().decode(await decoded(element, coding)) : read(element);
    return new Map(JSON.parse(text).map((answer, at) => [addressQuery(queries[at]), answer]));
  }

  async binary(part, query = {}) {
    const address = part + addressQuery(query);
    const { element, coding } = this.bytes.get(address) ?? this.refuse();
    if (!this.read.has(address)) this.read.set(address, decoded(element, coding));
    return (await this.read.get(address)).buffer;
  }

  async strings(language) {
    this.language = language;
    return this.texts[language];
  }

  async image(id) {
    const found = this.bytes.get(`image${addressQuery({ id })}`);
    return found ? `data:${found.media};base64,${read(found.element)}` : null;
  }

  async imageProblem() {
    return "";
  }

  subscribe() {
    return () => {};
  }

  refuse() {
    throw new Error(this.texts[this.language]["frozen.absent"]);
  }
}

function read(element) {
  return document.getElementById(element).textContent;
}

/** Bytes of an element, Uint8Array. */
async function decoded(element, coding) {
  const bytes = fromBase64(read(element));
  if (coding === "base64") return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const inflated = new Uint8Array(await new Response(stream).arrayBuffer());
  return coding === "gzip" ? inflated : joinWords(inflated, coding.words);
}

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text); // browsers of before 2025
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

/** Put the bytes of the 4-byte words behind `start` together again. */
function joinWords(bytes, start) {
  const joined = bytes.slice();
  const count = (bytes.length - start) / 4;
  for (let byte = 0; byte < 4; byte++) {
    const plane = start + byte * count;
    for (let index = 0; index < count; index++) joined[start + 4 * index + byte] = bytes[plane + index];
  }
  return joined;
}
