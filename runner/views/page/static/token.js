// The token in the address of a page that other machines may open: exchanged for a cookie, and taken out of the address.

/** Send the token in the address's fragment to the server, if there is one. Rejects with what the server says. */
export async function exchangeToken() {
  const [tab, query = ""] = location.hash.slice(1).split(/\?(.*)/s);
  const values = new URLSearchParams(query);
  const token = values.get("token");
  if (token === null) return;
  values.delete("token");
  history.replaceState(null, "", `#${tab}${values.size ? "?" : ""}${values}`);
  await fetch("api/token", { method: "POST", body: token });
}
