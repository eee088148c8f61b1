// Entry of a frozen file: the frame over the answers in the file, with the view that it was made with.
import { start } from "./main.js";
import { FileSource } from "./source-file.js";

if (typeof DecompressionStream === "function") {
  const source = new FileSource();
  if (!location.hash && source.view) history.replaceState(null, "", source.view);
  start(source);
}
