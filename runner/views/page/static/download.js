// A file that the page makes and the browser saves.

import { h } from "./dom.js";

/** Save a text or a Blob under a name. */
export function saveFile(name, media, content) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type: `${media};charset=utf-8` }));
  const link = h("a", { download: name });
  link.href = address;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
