/** The last inbox entries, newest first, with their positions: the place to watch a replay happen. */
import { $, el } from "./dom.js";

const FRAMES = 12;

export function mountReel({ client, signal }) {
  const reel = $("reel");
  reel.replaceChildren();
  client.on("inbox", ({ pos, event, data, replayed }) => {
    reel.prepend(
      el(
        "li",
        { class: replayed ? "replayed" : null, "data-pos": pos },
        el("span", { class: "pos" }, pos),
        el("span", { class: "what" }, event, el("span", { class: "detail" }, detail(event, data))),
        replayed ? el("span", { class: "tag" }, "replayed") : null,
      ),
    );
    while (reel.children.length > FRAMES) reel.lastElementChild.remove();
  });
  client.on("gap", ({ kind, pos }) => {
    if (kind === "inbox") reel.prepend(el("li", { class: "replayed" }, el("span", { class: "pos" }, pos), "older entries were trimmed: reloaded"));
  });
  signal.addEventListener("abort", () => reel.replaceChildren());
}

function detail(event, data) {
  if (event === "message.created") return `${data.message.senderName}: ${data.message.body}`;
  if (event === "notification.created") return data.notification.title;
  if (event === "notification.read") return `${data.ids.length} read, ${data.unreadCount} left`;
  return "";
}
