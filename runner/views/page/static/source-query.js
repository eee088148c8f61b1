// Queries of sources as texts.

/** A query as in an address, its keys sorted: "?a=1&b=2"; empty without keys. */
export function addressQuery(query) {
  const text = new URLSearchParams(Object.entries(query).sort()).toString();
  return text ? `?${text}` : "";
}
