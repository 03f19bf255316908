/**
 * The open conversation. Stored messages stand in the order of their numbers; one's own that have none yet stand below
 * them, each with its state. The ack says that it is stored, the inbox entry (which may come first) its number.
 */
import { uuid } from "../pitchey.js";
import * as api from "./api.js";
import { $, clock, el, longDay } from "./dom.js";

export function mountThread({ client, user, signal }, conversations) {
  const list = $("messages");
  const log = $("log");
  const body = $("body");
  const rows = new Map(); // message id or client id -> li
  const pending = new Map(); // client id -> message, of every conversation
  let conversation = null;
  let cursor = null;
  let typists = new Set();

  const room = () => `conversation:${conversation.id}`;
  const nameOf = (id) => conversation.participants.find((person) => person.id === id)?.name ?? "Somebody";

  // ---- rows

  function row(message) {
    const mine = message.senderId === user.id;
    const li = el(
      "li",
      { class: mine ? "mine" : "theirs", "data-id": message.id ?? message.clientId },
      mine ? null : el("span", { class: "sr" }, `${nameOf(message.senderId)}: `),
      el("p", { class: "bubble" }, message.body),
      el("p", { class: "hint status" }),
    );
    li.createdAt = message.createdAt;
    li.seq = message.seq ?? Infinity;
    return li;
  }

  function setStatus(li, message) {
    const states = { sending: client.state === "ready" ? "Sending…" : "Waiting for the connection", sent: "Sent", failed: `Not sent: ${message.error}` };
    const status = li.querySelector(".status");
    li.dataset.status = message.status ?? "sent";
    const mine = message.senderId === user.id;
    status.replaceChildren(message.status === "sending" || message.status === "failed" ? "" : clock(message.createdAt), mine ? ` ${states[message.status ?? "sent"]}` : "");
    if (message.status === "failed") {
      status.append(" ", el("button", { type: "button", class: "link", onclick: () => transmit(message) }, "Try again"));
    }
  }

  /** Shows a message as stored. Its place is its number in the conversation, above what has none yet. */
  function confirm(message) {
    const atEnd = isAtEnd();
    const li = rows.get(message.id) ?? rows.get(message.clientId) ?? row(message);
    rows.delete(message.clientId);
    rows.set(message.id, li);
    li.dataset.id = message.id;
    li.seq = message.seq ?? li.seq;
    setStatus(li, message);
    const next = [...list.children].find((other) => other.seq > li.seq) ?? null;
    if (!li.isConnected || (next && li.compareDocumentPosition(next) & Node.DOCUMENT_POSITION_PRECEDING)) list.insertBefore(li, next);
    separateDays();
    if (atEnd || message.senderId === user.id) scrollDown();
  }

  function separateDays() {
    for (const day of list.querySelectorAll(".day")) day.remove();
    let previous = "";
    for (const li of [...list.children]) {
      const day = longDay(li.createdAt);
      if (day !== previous) li.before(el("li", { class: "day slug", "aria-hidden": "true" }, day));
      previous = day;
    }
  }

  const isAtEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  const scrollDown = () => (log.scrollTop = log.scrollHeight);
  let followed = true; // who reads the end goes on reading it when the window, or the view, changes
  const resized = new ResizeObserver(() => followed && scrollDown());

  // ---- the conversation

  async function open(next) {
    if (conversation && conversation.id !== next.id) client.leave(room());
    conversation = next;
    client.join(room(), { fresh: true }).catch(() => {}); // typing and presence; the messages come by the inbox
    $("thread").hidden = false;
    $("thread-hint").textContent = "";
    $("thread-title").textContent = conversations.title(next);
    $("thread-title").focus({ preventScroll: true });
    typists = new Set();
    showTypists();
    await reload();
  }

  async function reload() {
    const { id } = conversation;
    rows.clear();
    list.replaceChildren();
    $("earlier").hidden = true;
    try {
      const { messages, pagination } = await api.messages(id);
      if (signal.aborted || conversation.id !== id) return;
      const live = [...rows.keys()]; // what arrived while the answer was on its way goes behind it
      const older = messages.filter((message) => !rows.has(message.id)).reverse();
      prepend(older, live.length ? list.firstElementChild : null);
      showCursor(pagination);
    } catch (error) {
      $("thread-hint").textContent = error.message;
    }
    for (const message of pending.values()) if (message.conversationId === id && !rows.has(message.clientId)) append(message);
    scrollDown();
  }

  function prepend(messages, before) {
    for (const message of messages) {
      const li = row(message);
      rows.set(message.id, li);
      setStatus(li, message);
      list.insertBefore(li, before);
    }
    separateDays();
  }

  function showCursor(pagination) {
    cursor = pagination?.hasMore ? pagination.nextCursor : null;
    $("earlier").hidden = cursor === null;
  }

  async function earlier() {
    const { id } = conversation;
    const { messages, pagination } = await api.messages(id, cursor);
    if (conversation.id !== id) return;
    const fromEnd = log.scrollHeight - log.scrollTop;
    prepend(messages.filter((message) => !rows.has(message.id)).reverse(), list.firstElementChild);
    showCursor(pagination);
    log.scrollTop = log.scrollHeight - fromEnd; // the eye stays where it was
  }

  // ---- writing

  function append(message) {
    const li = row(message);
    rows.set(message.clientId, li);
    setStatus(li, message);
    list.append(li);
    separateDays();
  }

  async function transmit(message) {
    const { clientId, conversationId } = message;
    const shown = () => (conversation.id === conversationId ? rows.get(clientId) : null);
    message.status = "sending";
    if (shown()) setStatus(shown(), message);
    else if (conversation.id === conversationId) append(message);
    scrollDown();
    try {
      const { message: id } = await client.message(conversationId, message.body, { id: clientId });
      pending.delete(clientId);
      if (shown()) confirm({ ...message, id, status: "sent" });
    } catch (error) {
      Object.assign(message, { status: "failed", error: error.message });
      if (!signal.aborted && shown()) setStatus(shown(), message);
    }
  }

  function submit(event) {
    event.preventDefault();
    const text = body.value.trim();
    if (!text || !conversation) return;
    const message = { clientId: uuid(), conversationId: conversation.id, senderId: user.id, body: text, createdAt: new Date().toISOString() };
    pending.set(message.clientId, message);
    body.value = "";
    grow();
    transmit(message);
  }

  const grow = () => (body.rows = Math.min(5, Math.max(1, body.value.split("\n").length)));

  // ---- typing

  function showTypists() {
    const names = [...typists].map(nameOf);
    $("typing").textContent = names.length ? `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} typing` : "";
  }

  client.on("typing", ({ room: where, user: who, active }) => {
    if (!conversation || where !== room() || who === user.id) return;
    active ? typists.add(who) : typists.delete(who);
    showTypists();
  });
  client.on("message.created", ({ data: { message } }) => {
    if (message.senderId === user.id) pending.delete(message.clientId);
    if (conversation?.id === message.conversationId) confirm(message);
  });
  client.on("gap", ({ kind }) => kind === "inbox" && conversation && reload());
  client.on("state", () => {
    for (const [id, message] of pending) if (rows.has(id)) setStatus(rows.get(id), message);
  });

  conversations.onOpen(open);
  resized.observe(log);
  log.addEventListener("scroll", () => (followed = isAtEnd()), { signal });
  $("composer").addEventListener("submit", submit, { signal });
  $("earlier").addEventListener("click", earlier, { signal });
  body.addEventListener("input", () => (grow(), conversation && body.value && client.typing(room())), { signal });
  body.addEventListener(
    "keydown",
    (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
    },
    { signal },
  );
  signal.addEventListener("abort", () => {
    resized.disconnect();
    list.replaceChildren();
    body.value = "";
    $("thread").hidden = true;
    $("thread-hint").textContent = "Choose a conversation, or write to the creator of a pitch.";
  });
}
