// Choices that the browser keeps between visits. Where it keeps nothing (a file, a private window), they last as long as the address.

/** The saved choice; empty if there is none. */
export function recall(key) {
  try {
    return localStorage.getItem(`runner.${key}`) ?? "";
  } catch {
    return "";
  }
}

/** Save a choice; an empty one is forgotten. */
export function remember(key, value) {
  try {
    if (value) localStorage.setItem(`runner.${key}`, value);
    else localStorage.removeItem(`runner.${key}`);
  } catch {
    // the address still has it
  }
}
