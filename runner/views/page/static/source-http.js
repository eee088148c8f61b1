// The data of a live page, from its server.
//
// A source, this one or that of a frozen file (source-file.js), has
//   frozen                     true in a file
//   json(part, query)          promise of a part's answer; rejects with an Error whose message is for people
//   binary(part, query)        promise of its bytes, an ArrayBuffer
//   strings(language)          promise of the texts of a language, {id: template} (see text.js)
//   image(id, whole)           promise of an address for <img src>, or null where the file holds no such image; `whole`: with all of its
//                              pixels, where the source has them
//   holds(part, query)         whether there is an answer; always true of a server, which is asked
//   imageProblem(id, whole)    promise of the reason why it has no such image, for people; may be empty
//   subscribe(f)               f({revision, gone}) after each change on the disk; `gone` is true while there is no server
// `query` is an object of texts. Answers are kept until the revision changes.

import { addressQuery } from "./source-query.js";

export class HttpSource {
  frozen = false;

  constructor() {
    this.kept = new Map();
    this.listeners = new Set();
    this.revision = 0;
    this.gone = false;
    this.events = new EventSource("api/changes");
    this.events.onmessage = (event) => this.changed(Number(event.data));
    this.events.onerror = () => this.tell(true);
  }

  changed(revision) {
    if (revision !== this.revision || this.gone) this.kept.clear(); // a server that was started anew counts anew
    this.revision = revision;
    this.tell(false);
  }

  tell(gone) {
    this.gone = gone;
    for (const f of [...this.listeners]) f({ revision: this.revision, gone });
  }

  subscribe(f) {
    this.listeners.add(f);
    return () => this.listeners.delete(f);
  }

  json(part, query = {}) {
    return this.ask(part, query, (response) => response.json());
  }

  binary(part, query = {}) {
    return this.ask(part, query, (response) => response.arrayBuffer());
  }

  holds() {
    return true;
  }

  async strings(language) {
    return (await fetch(`strings/${language}.json`)).json();
  }

  async image(id, whole = false) {
    return `api/image?id=${encodeURIComponent(id)}${whole ? "&size=whole" : ""}`;
  }

  async imageProblem(id, whole = false) {
    const response = await fetch(await this.image(id, whole));
    return response.ok ? "" : (await response.json()).error;
  }

  ask(part, query, read) {
    const address = `api/${part}${addressQuery(query)}`;
    if (!this.kept.has(address)) {
      const promise = fetch(address).then(async (response) => {
        if (response.ok) return read(response);
        throw new Error((await response.json()).error);
      });
      promise.catch(() => this.kept.delete(address));
      this.kept.set(address, promise);
    }
    return this.kept.get(address);
  }
}
