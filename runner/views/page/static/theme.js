// Colours of the page as a canvas knows them.

export function pageColors() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  return { ink: color("--ink"), muted: color("--muted"), rule: color("--line"), paper: color("--paper") };
}

/** Whether the page is shown as it is printed. The window's event "printing" tells that this begins, before pages are laid out, or ends. */
export function isPrinting() {
  return document.documentElement.classList.contains("printing");
}

/** Call f while the page has its light theme; nothing is painted in between. */
export function inLightTheme(f) {
  const { dataset } = document.documentElement;
  const theme = dataset.theme;
  dataset.theme = "light";
  try {
    return f();
  } finally {
    if (theme === undefined) delete dataset.theme;
    else dataset.theme = theme;
  }
}
