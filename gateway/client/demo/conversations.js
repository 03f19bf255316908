/** The conversations: what exists, which one is open, what is unread. The thread and the people list listen to it. */
import * as api from "./api.js";
import { $, announce, badge, el, time } from "./dom.js";

export class Conversations {
  #context;
  #all = new Map();
  #unread = new Map();
  #changed = new Set();
  #opened = new Set();
  current = null;

  constructor(context) {
    this.#context = context;
    const { client, signal } = context;
    client.on("message.created", ({ data }) => this.#arrived(data.message));
    client.on("gap", ({ kind }) => kind === "inbox" && this.load());
    signal.addEventListener("abort", () => $("conversations").replaceChildren());
  }

  onChange(handler) {
    this.#changed.add(handler);
  }
  onOpen(handler) {
    this.#opened.add(handler);
  }

  async load() {
    try {
      const { conversations } = await api.conversations();
      if (this.#context.signal.aborted) return;
      for (const conversation of conversations) this.#all.set(conversation.id, conversation);
    } catch (error) {
      $("thread-hint").textContent = error.message;
    }
    this.#show();
  }

  /** Everybody in any of the conversations, once. */
  people() {
    return [...new Map([...this.#all.values()].flatMap((c) => c.participants).map((person) => [person.id, person])).values()];
  }

  /** The others' names: what a conversation is called. */
  title({ participants }) {
    const others = participants.filter((person) => person.id !== this.#context.user.id);
    return others.map((person) => person.name).join(", ") || "Notes to yourself";
  }

  open(id) {
    const conversation = this.#all.get(id);
    if (!conversation) return;
    this.current = id;
    this.#unread.delete(id);
    this.#context.show("talk");
    this.#show();
    for (const handler of this.#opened) handler(conversation);
  }

  /** Opens the conversation with one person, making it if there is none yet. */
  async openWith(personId) {
    const { conversation } = await api.openConversation(personId);
    this.#all.set(conversation.id, conversation);
    this.open(conversation.id);
  }

  #arrived(message) {
    const conversation = this.#all.get(message.conversationId);
    if (!conversation) return void this.load(); // somebody has just opened it
    if (conversation.lastMessage?.seq >= message.seq) return; // the list was loaded after it
    Object.assign(conversation, { lastMessage: message, updatedAt: message.createdAt });
    if (message.conversationId !== this.current && senderId !== this.#context.user.id) {
      this.#unread.set(message.conversationId, (this.#unread.get(message.conversationId) ?? 0) + 1);
      announce(`Message from ${message.senderName}`);
    }
    this.#show();
  }

  #show() {
    const newestFirst = [...this.#all.values()].sort((a, b) => String(b.updatedAt).localeCompare(String(a.updatedAt)));
    const focused = document.activeElement?.dataset?.conversation;
    $("conversations").replaceChildren(...newestFirst.map((conversation) => this.#row(conversation)));
    if (focused) $("conversations").querySelector(`[data-conversation="${focused}"]`)?.focus();
    this.#context.count("talk", [...this.#unread.values()].reduce((sum, n) => sum + n, 0));
    for (const handler of this.#changed) handler();
  }

  #row(conversation) {
    const { id, lastMessage } = conversation;
    const unread = el("span", { class: "badge" });
    badge(unread, this.#unread.get(id) ?? 0);
    const mine = lastMessage?.senderId === this.#context.user.id;
    return el(
      "li",
      {},
      el(
        "button",
        { type: "button", "data-conversation": id, "aria-current": id === this.current ? "true" : null, onclick: () => this.open(id) },
        el("span", { class: "row" }, el("span", { class: "name" }, this.title(conversation)), unread, lastMessage ? time(lastMessage.createdAt) : null),
        el("span", { class: "preview" }, lastMessage ? `${mine ? "You: " : ""}${lastMessage.body}` : "No messages yet"),
      ),
    );
  }
}
