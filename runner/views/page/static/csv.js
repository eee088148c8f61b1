// CSV files that the page saves: lines that begin with "#" and say what they are of, the names of the columns, the rows. Pure functions.

/** A cell. Texts that a spreadsheet would run as a formula get a leading ', numbers never; these have all of their digits. */
export function csvCell(value) {
  if (value === undefined || value === null || Number.isNaN(value)) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  let text = typeof value === "string" ? value : JSON.stringify(value);
  if (/^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\n\r#]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A file of `head`, the names of the columns, and `rows`; `notes` are its first lines. */
export function csvText({ head, rows, notes = [] }) {
  const lines = [...notes.map(commentLine), ...[head, ...rows].map((row) => row.map(csvCell).join(","))];
  return `${lines.join("\r\n")}\r\n`;
}

/** A line of a table that its reader leaves out. */
export function commentLine(text) {
  return `# ${text.replace(/\s+/g, " ")}`;
}

/** Lines that say what numbers are of: the folders of runs, and under each name in the file the runs behind it, given as [name, ids]. */
export function sourceNotes(page, named) {
  const runs = (ids) => ids.map((id) => page.trials.runs.get(id)?.name ?? id).join(", ");
  return [`runs in: ${page.overview.folders.join(", ")}`, ...named.map(([name, ids]) => `${name}: ${runs(ids)}`)];
}
