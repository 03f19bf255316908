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

  /** Every event carries the exact count of its moment; an older one than we have seen says nothing new. */
  function counted(count, at) {
    if (at <= version) return false;
    version = at;
    total = count;
    return true;
  }

  function taken(ids) {
    for (const id of ids) unread.delete(id);
    show();
  }

  /** Over the socket if there is one, else over REST: the same operation stands behind both. */
  async function read(ids) {
    try {
      if (client.state === "ready") {
        await client.read(ids);
        taken(ids); // the count comes with `notification.read`, to every tab and device
      } else {
        total = (await api.markRead(ids)).unreadCount;
        taken(ids);
      }
    } catch (error) {
      show(error.message);
    }
  }

  async function readAll() {
    try {
      const { unreadCount } = await api.markAllRead();
      unread.clear();
      if (unreadCount > 0) await load(); // came in between
      else total = 0;
      show();
    } catch (error) {
      show(error.message);
    }
  }

  async function load() {
    const [before, versionBefore] = [new Set(unread.keys()), version];
    try {
      const answer = await api.unread();
      if (signal.aborted) return;
      const since = [...unread.values()].filter(({ id }) => !before.has(id)); // while the answer was on its way
      unread.clear();
      for (const notification of [...answer.notifications, ...since]) unread.set(notification.id, notification);
      if (version === versionBefore) total = answer.unreadCount;
      show();
    } catch (error) {
      if (!signal.aborted) show(error.message);
    }
  }

  client.on("notification.created", ({ data: { notification, unreadCount }, replayed }) => {
    if (!counted(unreadCount, notification.version)) return;
    unread.set(notification.id, notification);
    show();
    if (!replayed) announce(`Notification: ${notification.title}`);
  });
  client.on("notification.read", ({ data: { ids, all, version: at, unreadCount } }) => {
    if (!counted(unreadCount, at)) return;
    taken(all ? [...unread.values()].filter((n) => n.version <= at).map((n) => n.id) : ids);
  });
  client.on("gap", ({ kind }) => kind === "inbox" && load());
  $("read-all").addEventListener("click", readAll, { signal });
  signal.addEventListener("abort", () => list.replaceChildren());
  load();
}
