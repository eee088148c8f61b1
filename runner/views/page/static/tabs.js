// The tabs, in their order. Each module exports an object
//   id         in the address
//   keys       keys of the address's query that belong to it, with their defaults
//   checks     of these keys, those whose values are not free, each with a function that tells whether a value is right (optional)
//   shows(overview, state)   whether the tab is shown (optional)
//   help       its keys, for the dialog of the keyboard: pairs of [keys, id of a text] (optional)
//   mount(page)         returns {root, update(), unmount()}: `root` is an element; update() is called after mount() and after a change of
//                       state, data or language, and may return a promise; unmount() before the tab is left. What they throw is shown in
//                       the tab. reveal(place), if there is one, brings what had the focus into view before Back gives it back: `place.row`
//                       is the `data-id` around it.
// `page` has
//   source, state, overview, trials       see source-http.js, state.js, trials.js; `overview` is the answer of that part
//   language, text(id, arguments), note(note), printing
//   number, signed, range, summary, duration, memory, value    numbers as text (format.js)
//   hover                                 the trial that is pointed at (hover.js); what stands for one has its id as `data-hover`
//   announce(sentence)                    for screen readers
// Others that tabs share: copy.js (commands to copy), failure.js (an error in a card), header.js `choices` (options of a select).
import { answerTab } from "./tabs/answer.js";
import { curvesTab } from "./tabs/curves.js";
import { detectionTab } from "./tabs/detection.js";
import { runTab } from "./tabs/run.js";
import { searchTab } from "./tabs/search.js";
import { trialsTab } from "./tabs/trials.js";

export const TABS = [answerTab, trialsTab, curvesTab, detectionTab, searchTab, runTab];
