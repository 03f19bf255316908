/** Who is online among the people one shares a conversation with (nobody else may be watched). */
import { $, el, label } from "./dom.js";

const MAX_WATCHED = 200; // the server's limit per connection

export function mountPeople({ client, user, signal }, conversations) {
  const list = $("people");
  let people = new Map();

  function show() {
    const rows = [...people.values()].map((person) => ({ ...person, presence: client.presenceOf(person.id) }));
    const rank = ({ presence }) => ["online", "away"].indexOf(presence?.status ?? "") >>> 0; // offline and unknown last
    rows.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
    list.replaceChildren(...rows.map(row));
    $("people-hint").hidden = rows.length > 0;
  }

  function row({ id, name, portal, presence }) {
    const connected = client.state === "ready";
    const status = connected ? (presence?.status ?? "offline") : "unknown";
    const devices = presence?.devices > 1 && status !== "offline" ? ` on ${presence.devices} devices` : "";
    return el(
      "li",
      { "data-user": id, "data-status": status },
      el("span", { class: "lamp", "aria-hidden": "true" }),
      el("button", { type: "button", class: "link name", onclick: () => conversations.openWith(id) }, name),
      el("span", { class: "hint" }, connected ? `${label(status)}${devices}` : "Unknown", " · ", label(portal)),
    );
  }

  conversations.onChange(() => {
    const before = [...people.keys()].join();
    people = new Map(conversations.people().filter((person) => person.id !== user.id).map((person) => [person.id, person]));
    if ([...people.keys()].join() !== before) client.watch([...people.keys()].slice(0, MAX_WATCHED));
    show();
  });
  client.on("presence", show);
  client.on("state", show);
  signal.addEventListener("abort", () => list.replaceChildren());
  show();
}
