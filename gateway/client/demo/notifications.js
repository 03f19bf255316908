/** Unread notifications, live. Reading one is one change with a version, wherever it was done: the newest wins. */
import * as api from "./api.js";
import { $, announce, badge, el, time } from "./dom.js";

export function mountNotifications({ client, signal, count }) {
  const list = $("notifications");
  const unread = new Map();
  let total = 0;
  let version = -1;

  function show(problem = "") {
    badge($("unread"), total);
    count("activity", total);
    $("read-all").hidden = total === 0;
    $("notifications-hint").textContent = problem || (total === 0 ? "Nothing unread." : "");
    list.replaceChildren(...[...unread.values()].sort((a, b) => b.createdAt.localeCompare(a.createdAt)).map(item));
  }

  function item(notification) {
    const { id, title, body, createdAt } = notification;
    return el(
      "li",
      { class: "card", "data-id": id },
      el("p", { class: "name" }, title),
      body ? el("p", {}, body) : null,
      el(
        "p",
        { class: "hint row" },
        time(createdAt),
        el("button", { type: "button", class: "link", "aria-label": `Mark read: ${title}`, onclick: () => read([id]) }, "Mark read"),
      ),
    );
  }

  function taken(ids, unreadCount) {
    const known = ids.filter((id) => unread.delete(id)).length;
    total = unreadCount ?? Math.max(0, total - known);
    show();
  }

  /** Over the socket if there is one, else over REST: the same operation stands behind both. */
  async function read(ids) {
    try {
      if (client.state === "ready") {
        await client.read(ids);
        taken(ids); // `notification.read` brings the exact count, to every tab and device
      } else {
        const answer = await api.markRead(ids);
        taken(ids, answer.unreadCount);
      }
    } catch (error) {
      show(error.message);
    }
  }

  async function readAll() {
    try {
      const { ids, unreadCount } = await api.markAllRead();
      taken(ids, unreadCount);
      if (unread.size !== unreadCount) await load();
    } catch (error) {
      show(error.message);
    }
  }

  async function load() {
    const before = new Set(unread.keys());
    try {
      const answer = await api.unread();
      if (signal.aborted) return;
      const since = [...unread.values()].filter(({ id }) => !before.has(id) && !answer.notifications.some((n) => n.id === id));
      unread.clear();
      for (const notification of [...answer.notifications, ...since]) unread.set(notification.id, notification);
      total = answer.unreadCount + since.length; // came while the answer was on its way
      show();
    } catch (error) {
      if (!signal.aborted) show(error.message);
    }
  }

  client.on("notification.created", ({ data: { notification } }) => {
    if (notification.read || unread.has(notification.id)) return;
    unread.set(notification.id, notification);
    total += 1;
    show();
    announce(`Notification: ${notification.title}`);
  });
  client.on("notification.read", ({ data }) => {
    if (data.version <= version) return;
    version = data.version;
    taken(data.ids, data.unreadCount);
  });
  client.on("gap", ({ kind }) => kind === "inbox" && load());
  client.on("caughtup", ({ replayed }) => replayed && load()); // entries that the first load counted already came again
  $("read-all").addEventListener("click", readAll, { signal });
  signal.addEventListener("abort", () => list.replaceChildren());
  load();
}
