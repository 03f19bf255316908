/**
 * The browser client of `pitchey.v1`: one socket that is always coming back.
 *
 * Why it exists: a WebSocket alone forgets everything when it drops. This module keeps the positions, resumes from
 * them in the same frame that authenticates, acknowledges what was handled, and sends again what was never answered,
 * so that a page can be written as if the network did not fail.
 *
 * What it deliberately does not do: no rendering, no REST, no knowledge of what an event means (one exception: a
 * message ends its author's typing), no dependency, no build step. One file, so that it can be copied; inside, a class
 * per concern: Emitter, Positions, Inbox, Rooms, Outgoing, Typists, and PitcheyClient, which owns the socket.
 * The public types are documented in `pitchey.d.ts`, the guarantees in `README.md`.
 */

export const PROTOCOL = "pitchey.v1";

const DEFAULTS = {
  connectTimeoutMs: 15_000, // the server's own deadlines: 5 s for the handshake, 15 s for authentication
  requestTimeoutMs: 10_000,
  ackDelayMs: 250, // acks are cumulative: losing one redelivers at most this much
  pingIdleMs: 30_000, // until `hello.heartbeat` says otherwise
  pongTimeoutMs: 10_000,
  backoffBaseMs: 500,
  backoffCapMs: 30_000,
  stableAfterMs: 5_000, // a connection that lived shorter does not reset the back-off
  maxPending: 100, // messages waiting for an ack; one more is refused with `queue_full`
  maxInbox: 2_000, // entries waiting for a slow handler; one more drops the socket and resumes from the last handled
};

const AUTH_BYTES = 3_500; // the server accepts 4 KiB before authentication; rooms that do not fit are joined afterwards
const REFUSED_GRACE_MS = 1_000; // after a refused `auth` the server's close code says whether coming back makes sense
const IN_FLIGHT = 16; // far below the server's burst of 100 frames
const SEND_RETRY_MS = 9 * 60_000; // the server remembers the id of a `send` for ten minutes: later would be a duplicate
const TYPING_EVERY_MS = 3_000;
const MAX_TYPISTS = 500;
const MAX_STORED_ROOMS = 100; // the server's own limit per connection
// 4410: ten tabs are open, and coming straight back would only push out the next one.
const LEAST_DELAY_MS = { 1013: 1_000, 4410: 30_000, 4429: 5_000 };
// RFC 6455: a normal end, or "you sent something I will never take". Sending it again would not help.
const FINAL_CODES = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1010]);

/** A refusal or failure with a stable `code`; `retryAfter` in milliseconds, 0 when trying again will not help. */
export class PitcheyError extends Error {
  constructor(code, message = code, { retryAfter = 0, cause } = {}) {
    super(message, { cause });
    Object.assign(this, { name: "PitcheyError", code, retryAfter });
  }
}

/** The close-code table: 4000–4499 reconnect, 4500–4999 do not. */
export function mayReconnect(code) {
  return !FINAL_CODES.has(code) && !(code >= 4500 && code <= 4999);
}

/** Full jitter: anything between nothing and the doubled step, so that a thousand clients do not return as one. */
export function backoff(attempt, random, baseMs = DEFAULTS.backoffBaseMs, capMs = DEFAULTS.backoffCapMs) {
  return Math.round(random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 20)));
}

/** A random UUID. Browsers offer `crypto.randomUUID` to secure origins only, and a page may be tried out over plain http. */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40; // version 4
  bytes[8] = (bytes[8] & 0x3f) | 0x80; // the variant of RFC 9562
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Decimal text to BigInt (a sequence may outgrow a double), or null for anything else. */
const toPos = (text) => (/^(0|[1-9]\d{0,19})$/.test(text ?? "") ? BigInt(text) : null);
const latest = (a, b) => (a === null || (b !== null && b > a) ? b : a);

/** Whether room position `to` adds something to `from`; another epoch always does, its numbers start afresh. */
function moves(from, to) {
  const [, fromEpoch, fromSeq] = /^([0-9a-z]+):(\d+)$/.exec(from ?? "") ?? [];
  const [, toEpoch, toSeq] = /^([0-9a-z]+):(\d+)$/.exec(to ?? "") ?? [];
  return toSeq !== undefined && (fromEpoch !== toEpoch || BigInt(toSeq) > BigInt(fromSeq));
}

function toError({ code = "error", message, retry_after: retryAfter = 0 }) {
  return new PitcheyError(code, message ?? code, { retryAfter });
}

function withoutType({ type: _, ...rest }) {
  return rest;
}

// ------------------------------------------------------------------------------------------------------- events

class Emitter {
  #handlers = new Map();

  on(type, handler) {
    if (!this.#handlers.has(type)) this.#handlers.set(type, new Set());
    this.#handlers.get(type).add(handler);
    return () => this.#handlers.get(type)?.delete(handler);
  }

  /** Calls every handler, also those behind one that throws; returns the promises of those still at work. */
  emit(type, payload) {
    const working = [];
    for (const handler of [...(this.#handlers.get(type) ?? [])]) {
      try {
        const result = handler(payload);
        if (typeof result?.then === "function") working.push(result.then(null, (e) => this.#report(type, e)));
      } catch (e) {
        this.#report(type, e);
      }
    }
    return working;
  }

  #report(type, cause) {
    if (type === "error" || !this.#handlers.get("error")?.size) console.error(`pitchey: a handler of "${type}"`, cause);
    else this.emit("error", new PitcheyError("handler", `a handler of "${type}" failed`, { cause }));
  }
}

// ---------------------------------------------------------------------------------------------------- positions

function pageStorage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null; // a sandboxed frame, or storage switched off: positions then live as long as the page
  }
}

/** What outlives the page: the browser's device id and, per user, the positions that all tabs share. */
class Positions {
  #memory = new Map();
  #storage;

  constructor(storage) {
    this.#storage = storage;
  }

  #get(key) {
    try {
      if (this.#storage) return this.#storage.getItem(key);
    } catch {
      // Forbidden since: fall through to the copy.
    }
    return this.#memory.get(key) ?? null;
  }

  #set(key, value) {
    this.#memory.set(key, value);
    try {
      this.#storage?.setItem(key, value);
    } catch {
      // Full or forbidden. The server's own cursor of this device serves the next page load.
    }
  }

  device() {
    const known = this.#get("pitchey.device");
    if (/^[\w.-]{8,64}$/.test(known ?? "")) return known;
    const made = `b_${uuid()}`;
    this.#set("pitchey.device", made);
    return made;
  }

  inbox(user) {
    return toPos(this.#get(`pitchey.inbox.${user}`));
  }

  /** Another tab may be ahead: the position never moves backwards, unless the server said that it is not one of its own. */
  saveInbox(user, pos, { reset = false } = {}) {
    const known = this.inbox(user);
    if (reset || known === null || pos > known) this.#set(`pitchey.inbox.${user}`, String(pos));
  }

  rooms(user) {
    try {
      return new Map(Object.entries(JSON.parse(this.#get(`pitchey.rooms.${user}`) ?? "{}")));
    } catch {
      return new Map();
    }
  }

  saveRooms(user, moved) {
    const all = this.rooms(user);
    for (const [room, pos] of moved) {
      const newest = moves(all.get(room), pos) ? pos : all.get(room);
      all.delete(room); // and in again at the end: the order is "least recently moved first"
      all.set(room, newest);
    }
    this.#set(`pitchey.rooms.${user}`, JSON.stringify(Object.fromEntries([...all].slice(-MAX_STORED_ROOMS))));
  }
}

// -------------------------------------------------------------------------------------------------------- inbox

/**
 * The durable inbox of one tab. `seen` is the last entry taken from the wire, `done` the last one whose handlers have
 * finished. `seen` is where this tab resumes and what makes it drop duplicates; `done` is what is acked and stored,
 * because it is what would be lost with the page. Tabs share the stored `done`, each has its own `seen`: every tab
 * sees every entry, whichever of them acked it first.
 */
class Inbox {
  #link;
  #seen = null;
  #begun = null; // its handlers have at least started
  #done = null;
  #acked = null; // on this connection
  #end = 0n; // the last position of the replay
  #caughtUp = true;
  #life = 0; // grows when the server's position replaced ours: a handler still at work then finishes for nothing
  #queue = [];
  #handling = false;
  replayed = 0;

  constructor(link) {
    this.#link = link;
  }

  get done() {
    return this.#done;
  }

  /** The position to ask for; null leaves it to the server's cursor of this device. */
  wanted(user) {
    return user === null ? null : (this.#seen ?? this.#link.positions.inbox(user));
  }

  /**
   * `pos` is where the replay starts and `pending` how much follows. A position of ours beyond that, or one no longer
   * retained, is none of this server's: believing it would hide entries, so the server wins and the page is told.
   */
  resume(user, asked, { pos, pending = 0, recovered = true }) {
    const { positions } = this.#link;
    const start = toPos(pos) ?? 0n;
    const known = latest(this.#seen, positions.inbox(user));
    this.#end = start + BigInt(pending);
    const lost = !recovered || (known !== null && known > this.#end);
    if (lost) {
      this.#life += 1;
      this.#queue.length = 0;
      this.#seen = this.#begun = this.#done = start;
      positions.saveInbox(user, start, { reset: true });
    } else if (this.#seen === null) {
      this.#seen = this.#begun = this.#done = latest(known, start);
    }
    this.#acked = asked === null ? start : -1n; // where we asked to start says nothing about what was acked
    this.#caughtUp = false;
    this.replayed = 0;
    if (this.#done > this.#acked) this.#link.flushSoon(); // the last connection's acks may have been lost with it
    if (lost) this.#link.emit("gap", { kind: "inbox", pos: String(start) });
    this.#handle();
  }

  receive(frame) {
    const pos = toPos(frame.pos);
    if (pos === null || pos <= this.#seen) return;
    this.#seen = pos;
    const replayed = pos <= this.#end;
    if (replayed) this.replayed += 1;
    this.#queue.push({ pos: frame.pos, event: frame.event, data: frame.data, replayed });
    if (this.#queue.length > this.#link.options.maxInbox) this.#overflow();
    else this.#handle();
  }

  /** One entry at a time, in order; an entry is done when the promises of its handlers have settled. */
  async #handle() {
    if (this.#handling) return;
    this.#handling = true;
    while (this.#queue.length) {
      const entry = this.#queue.shift();
      const life = this.#life;
      this.#begun = toPos(entry.pos);
      const working = [...this.#link.emit("inbox", entry), ...this.#link.emit(entry.event, entry)];
      if (working.length) await Promise.all(working);
      if (life === this.#life) this.#done = toPos(entry.pos);
      this.#link.flushSoon();
      this.#announce();
    }
    this.#handling = false;
    this.#announce();
  }

  #announce() {
    if (this.#caughtUp || this.#done < this.#end) return;
    this.#caughtUp = true;
    this.#link.emit("caughtup", { replayed: this.replayed, pos: String(this.#done) });
  }

  #overflow() {
    this.#queue.length = 0;
    this.#seen = this.#begun;
    this.#link.drop("the inbox handlers are too slow");
  }

  /** Sends the cumulative ack, if there is something new to acknowledge. */
  flush(ready, user) {
    if (this.#done === null || user === null) return;
    this.#link.positions.saveInbox(user, this.#done);
    if (!ready || this.#done <= this.#acked) return;
    this.#acked = this.#done;
    this.#link.write({ type: "ack", pos: String(this.#done) });
  }
}

// -------------------------------------------------------------------------------------------------------- rooms

/** The rooms this tab wants to be in. They are entered again, from their positions, on every connection. */
class Rooms {
  #link;
  #rooms = new Map(); // name -> { name, pos, joined, asking, online, waiters }
  #moved = new Map(); // positions not stored yet

  constructor(link) {
    this.#link = link;
  }

  names() {
    return [...this.#rooms.keys()];
  }

  isIn(name) {
    return this.#rooms.get(name)?.joined ?? false;
  }

  join(name, fresh) {
    let room = this.#rooms.get(name);
    if (room?.joined) return Promise.resolve({ room: name, pos: room.pos, recovered: true, online: room.online, count: room.count });
    if (!room) {
      const { user, positions } = this.#link;
      const pos = fresh || user === null ? null : (positions.rooms(user).get(name) ?? null);
      this.#rooms.set(name, (room = { name, pos, joined: false, asking: 0, online: [], count: 0, waiters: [] }));
    }
    const answer = new Promise((resolve, reject) => room.waiters.push({ resolve, reject }));
    if (this.#link.ready) this.#ask(room);
    return answer;
  }

  async leave(name) {
    const room = this.#rooms.get(name);
    if (!room) return;
    this.#forget(room, new PitcheyError("left", "left before the join was answered"));
    if (this.#link.ready) await this.#link.request({ type: "leave", room: name }).catch(() => {});
  }

  /** The rooms that fit into `budget` bytes of the `auth` frame. */
  positions(budget) {
    const all = {};
    for (const { name, pos } of this.#rooms.values()) {
      budget -= name.length + (pos?.length ?? 4) + 6;
      if (budget > 0) all[name] = pos;
    }
    return all;
  }

  resume(answered = {}) {
    for (const room of [...this.#rooms.values()]) {
      if (answered[room.name]) this.#enter(room, answered[room.name]);
      else this.#ask(room);
    }
  }

  disconnected() {
    for (const room of this.#rooms.values()) Object.assign(room, { joined: false, asking: 0 });
  }

  #ask(room) {
    const { turn } = this.#link;
    if (room.joined || room.asking === turn) return;
    room.asking = turn;
    const current = () => turn === this.#link.turn && this.#rooms.get(room.name) === room && !room.joined;
    const again = () => current() && ((room.asking = 0), this.#ask(room));
    this.#link.request({ type: "join", room: room.name, ...(room.pos && { pos: room.pos }) }).then(
      (answer) => current() && this.#enter(room, answer),
      (error) => {
        if (!current()) return; // left meanwhile, or disconnected: the next `ready` asks again
        if (error.code === "timeout" || error.retryAfter > 0) return setTimeout(again, error.retryAfter || 1_000);
        this.#forget(room, error);
        this.#link.emit("left", { room: room.name, code: error.code });
      },
    );
  }

  #enter(room, { pos, recovered = true, online = room.online, count = online.length }) {
    const asked = room.pos;
    Object.assign(room, { joined: true, online, count });
    // `pos` is the top. While what lies between is replayed to us, we are still at the position that we asked for.
    if (asked === null || !recovered) this.#move(room, pos);
    const info = { room: room.name, pos, recovered, online, count };
    for (const { resolve } of room.waiters.splice(0)) resolve(info);
    this.#link.emit("joined", info);
    if (asked !== null && !recovered) this.#link.emit("gap", { kind: "room", room: room.name, pos });
  }

  #move(room, pos) {
    room.pos = pos;
    this.#moved.set(room.name, pos);
    this.#link.flushSoon();
  }

  #forget(room, error) {
    this.#rooms.delete(room.name);
    for (const { reject } of room.waiters.splice(0)) reject(error);
  }

  receive({ room: name, pos, from = null, data }) {
    const room = this.#rooms.get(name);
    if (!room || !moves(room.pos, pos)) return;
    this.#move(room, pos);
    this.#link.emit("event", { room: name, pos, from, data });
  }

  /** Unasked: the room's history on the server ended, or went further than it remembers, and it goes on from `pos`. */
  restarted(frame) {
    const room = this.#rooms.get(frame.room);
    if (room?.joined) this.#enter(room, { ...frame, online: room.online });
  }

  /** The server put us out: membership was revoked. */
  evicted(name) {
    const room = this.#rooms.get(name);
    if (!room) return;
    this.#forget(room, new PitcheyError("left", "put out of the room"));
    this.#link.emit("left", { room: name, code: "evicted" });
  }

  flush(user) {
    if (user !== null && this.#moved.size) this.#link.positions.saveRooms(user, this.#moved);
    this.#moved.clear();
  }

  clear(error) {
    for (const room of [...this.#rooms.values()]) this.#forget(room, error);
  }
}

// ----------------------------------------------------------------------------------------------------- outgoing

/** Messages and sends until they are answered: the same id again on every connection, so that a repeat is harmless. */
class Outgoing {
  #link;
  #items = new Map(); // id -> item, in the order they were made
  #pausedUntil = 0;
  #timer;
  maxBytes = 65_536; // until `hello.max`

  constructor(link) {
    this.#link = link;
  }

  get size() {
    return this.#items.size;
  }

  /** `lane` is the destination: one unanswered frame in each, so that a repeat cannot overtake what came after it. */
  add(lane, frame, retryMs) {
    const known = this.#items.get(frame.id);
    if (known) return known.promise;
    const text = JSON.stringify(frame);
    if (new TextEncoder().encode(text).length > this.maxBytes) {
      return Promise.reject(new PitcheyError("too_large", `a frame may have at most ${this.maxBytes} bytes`));
    }
    if (this.#items.size >= this.#link.options.maxPending) {
      return Promise.reject(new PitcheyError("queue_full", `${this.#items.size} messages are waiting already`));
    }
    const item = { id: frame.id, lane, text, sentOn: null, dueAt: 0, safeUntil: this.#link.now() + retryMs };
    item.promise = new Promise((resolve, reject) => Object.assign(item, { resolve, reject }));
    this.#items.set(item.id, item);
    this.pump();
    return item.promise;
  }

  pause() {
    clearTimeout(this.#timer);
  }

  /** Sends whatever has not been sent on this connection, or has been unanswered for too long on it. */
  pump() {
    this.pause();
    if (!this.#link.ready || this.#items.size === 0) return;
    const now = this.#link.now();
    const busy = new Set();
    for (const item of this.#items.values()) {
      if (now < this.#pausedUntil || busy.size >= IN_FLIGHT) break;
      if (busy.has(item.lane)) continue;
      const waiting = item.sentOn === this.#link.turn && now < item.dueAt;
      if (!waiting && !this.#transmit(item, now)) continue;
      busy.add(item.lane);
    }
    const pause = this.#pausedUntil > now ? this.#pausedUntil - now : this.#link.options.requestTimeoutMs;
    this.#timer = setTimeout(() => this.pump(), pause);
  }

  #transmit(item, now) {
    if (now > item.safeUntil) {
      this.#items.delete(item.id);
      item.reject(new PitcheyError("expired", "unanswered for too long to be repeated safely"));
      return false;
    }
    Object.assign(item, { sentOn: this.#link.turn, dueAt: now + this.#link.options.requestTimeoutMs });
    this.#link.write(item.text);
    return true;
  }

  /** True if the frame was the answer to something in here. */
  answer(frame) {
    const item = this.#items.get(frame.id);
    if (!item) return false;
    if (frame.type === "error" && frame.retry_after > 0) {
      item.sentOn = null;
      this.#pausedUntil = this.#link.now() + frame.retry_after;
    } else {
      this.#items.delete(item.id);
      frame.type === "error" ? item.reject(toError(frame)) : item.resolve(withoutType(frame));
    }
    this.pump();
    return true;
  }

  clear(error) {
    this.pause();
    for (const { reject } of this.#items.values()) reject(error);
    this.#items.clear();
  }
}

// ------------------------------------------------------------------------------------------------------- typing

/** Who is typing, each until their `ttl` runs out; and our own typing, at most one frame per room in three seconds. */
class Typists {
  #link;
  #timers = new Map(); // "room\nuser" -> timer
  #saidAt = new Map(); // room -> when we said so

  constructor(link) {
    this.#link = link;
  }

  say(room) {
    const now = this.#link.now();
    if (!this.#link.inRoom(room) || now - (this.#saidAt.get(room) ?? -Infinity) < TYPING_EVERY_MS) return false;
    this.#saidAt.set(room, now);
    this.#link.write({ type: "typing", room });
    return true;
  }

  /** What was written has been sent: the next keystroke may be announced at once. */
  said(room) {
    this.#saidAt.delete(room);
  }

  receive({ room, user, ttl }) {
    if (ttl <= 0) return this.end(room, user);
    const key = `${room}\n${user}`;
    const known = this.#timers.has(key);
    if (!known && this.#timers.size >= MAX_TYPISTS) return;
    clearTimeout(this.#timers.get(key));
    this.#timers.set(key, setTimeout(() => this.end(room, user), ttl));
    if (!known) this.#link.emit("typing", { room, user, active: true });
  }

  end(room, user) {
    const key = `${room}\n${user}`;
    if (!this.#timers.has(key)) return;
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    this.#link.emit("typing", { room, user, active: false });
  }

  endAll() {
    for (const key of [...this.#timers.keys()]) this.end(...key.split("\n"));
  }
}

// ------------------------------------------------------------------------------------------------------- client

export class PitcheyClient {
  #options;
  #address;
  #emitter = new Emitter();
  #positions;
  #inbox;
  #rooms;
  #outgoing;
  #typists;
  #socket = null;
  #turn = 0; // grows with every socket: a late callback of an old one is recognised and ignored
  #timers = new Map(); // "deadline" | "retry" | "ping" | "pong" | "flush"
  #requests = new Map(); // id -> { resolve, reject, timer }
  #nextId = 0;
  #authId = null; // while our `auth` is unanswered
  #askedPos = null; // the inbox position it carried
  #askedAt = 0;
  #bye = null;
  #notBefore = 0; // a `retry_after` of the server: not even the user's return to the tab overrides it
  #readyAt = null;
  #sentAt = 0;
  #heardAt = 0;
  #opening = []; // the promises of connect()
  #presence = new Map();
  #watched = [];
  #status = "online";

  state = "idle";
  attempt = 0;
  retryAt = null;
  rtt = null;
  server = null;

  constructor(options = {}) {
    this.#options = { ...DEFAULTS, random: Math.random, now: () => performance.now(), ...options };
    this.#address = new URL(this.#options.url ?? "/ws", globalThis.location?.href);
    this.#address.protocol = this.#address.protocol.replace("http", "ws");
    this.#positions = new Positions(options.storage === undefined ? pageStorage() : options.storage);
    this.user = options.user ?? null;
    this.device = options.device ?? this.#positions.device();
    this.#address.searchParams.set("device", this.device);
    this.#address.searchParams.set("resume", "1"); // a cookie's `ready` waits for our positions: one replay, not two
    const link = this.#link();
    this.#inbox = new Inbox(link);
    this.#rooms = new Rooms(link);
    this.#outgoing = new Outgoing(link);
    this.#typists = new Typists(link);
  }

  /** What the parts may use of the client. */
  #link() {
    const client = this;
    return {
      options: this.#options,
      positions: this.#positions,
      now: this.#options.now,
      emit: (type, payload) => this.#emit(type, payload),
      write: (frame) => this.#write(frame),
      request: (fields) => this.#request(fields),
      drop: (reason) => this.#drop(reason),
      flushSoon: () => this.#flushSoon(),
      inRoom: (room) => client.state === "ready" && client.#rooms.isIn(room),
      get ready() {
        return client.state === "ready";
      },
      get turn() {
        return client.#turn;
      },
      get user() {
        return client.user;
      },
    };
  }

  get position() {
    return this.#inbox.done === null ? null : String(this.#inbox.done);
  }
  get replayed() {
    return this.#inbox.replayed;
  }
  get pending() {
    return this.#outgoing.size;
  }
  get rooms() {
    return this.#rooms.names();
  }

  on(type, handler) {
    return this.#emitter.on(type, handler);
  }

  #emit(type, payload) {
    if (type === "event") this.#typists.end(payload.room, payload.from);
    if (type === "message.created") {
      const { conversationId, senderId } = payload.data?.message ?? {};
      this.#typists.end(`conversation:${conversationId}`, senderId);
    }
    return this.#emitter.emit(type, payload);
  }

  #setState(state, detail = {}) {
    const previous = this.state;
    this.state = state;
    this.retryAt = detail.retryAt ?? null;
    this.#emit("state", { state, previous, attempt: this.attempt, ...detail });
  }

  #after(name, delay, action) {
    clearTimeout(this.#timers.get(name));
    this.#timers.set(name, setTimeout(() => (this.#timers.delete(name), action()), delay));
  }

  #cancel(...names) {
    for (const name of names) {
      clearTimeout(this.#timers.get(name));
      this.#timers.delete(name);
    }
  }

  // ---- what an application calls

  connect() {
    const ready = new Promise((resolve, reject) => this.#opening.push({ resolve, reject }));
    ready.catch(() => {}); // a caller that listens to "state" may ignore the promise
    if (this.state === "ready") this.#settleOpening();
    else if (this.state === "waiting") this.#wake();
    else if (this.state === "idle" || this.state === "closed") {
      this.attempt = 0;
      this.#listenToPage("addEventListener");
      this.#open();
    }
    return ready;
  }

  disconnect() {
    if (this.state === "idle" || this.state === "closed") return;
    this.#flush();
    this.#detach(1000, "client");
    this.#finish(1000, "client");
  }

  close() {
    this.disconnect();
    this.#abandon(new PitcheyError("closed", "the client was closed"));
  }

  join(room, { fresh = false } = {}) {
    return this.#rooms.join(room, fresh);
  }

  leave(room) {
    return this.#rooms.leave(room);
  }

  send(room, data, { id = uuid() } = {}) {
    return this.#outgoing.add(`send ${room}`, { type: "send", id, room, data }, SEND_RETRY_MS);
  }

  message(to, body, { id = uuid() } = {}) {
    this.#typists.said(`conversation:${to}`);
    return this.#outgoing.add(`message ${to}`, { type: "message", id, to, body }, Infinity);
  }

  typing(room) {
    return this.#typists.say(room);
  }

  read(notifications) {
    return this.#request({ type: "read", notifications });
  }

  watch(users) {
    this.#watched = [...new Set(users)];
    if (this.state === "ready") this.#write({ type: "watch", users: this.#watched });
  }

  presence(status) {
    this.#status = status;
    if (this.state === "ready") this.#write({ type: "presence", status });
  }

  presenceOf(user) {
    return this.#presence.get(user) ?? null;
  }

  // ---- the life of a connection

  #open() {
    this.#cancel("retry");
    this.#bye = null;
    const turn = ++this.#turn;
    this.#after("deadline", this.#options.connectTimeoutMs, () => this.#drop("not ready in time"));
    this.#setState("connecting");
    const { token } = this.#options;
    if (typeof token !== "function") return this.#dial(turn, token);
    new Promise((resolve) => resolve(token())).then(
      (fresh) => this.#dial(turn, fresh),
      (cause) => {
        if (turn !== this.#turn) return;
        this.#emit("error", new PitcheyError("token", "failed to get a token", { cause }));
        this.#drop("no token");
      },
    );
  }

  #dial(turn, token) {
    if (turn !== this.#turn) return;
    const socket = new (this.#options.WebSocket ?? globalThis.WebSocket)(this.#address.href, [PROTOCOL]);
    this.#socket = socket;
    const current = (handle) => (event) => turn === this.#turn && handle(event);
    socket.onopen = current(() => this.#authenticate(token));
    socket.onmessage = current((event) => this.#receive(event.data));
    socket.onclose = current((event) => this.#lost(event.code, event.reason));
  }

  /** One frame authenticates and resumes. Without a token it says: the cookie is my proof, and here is where I was. */
  #authenticate(token) {
    if (this.state !== "authenticating") this.#setState("authenticating");
    const frame = { type: "auth", id: (this.#authId = ++this.#nextId), device: this.device };
    if (token) frame.token = token;
    this.#askedPos = this.#inbox.wanted(this.user); // never another user's: until we know who we are, none
    if (this.#askedPos !== null) frame.inbox = String(this.#askedPos);
    const rooms = this.#rooms.positions(AUTH_BYTES - JSON.stringify(frame).length);
    if (Object.keys(rooms).length) frame.rooms = rooms;
    this.#write(frame);
    this.#askedAt = this.#sentAt;
  }

  #ready(frame) {
    if (this.user !== null && frame.user !== this.user) return this.#userChanged(frame.user);
    this.#cancel("deadline");
    this.#authId = null;
    this.user = frame.user;
    this.#readyAt = this.#options.now();
    this.rtt = Math.max(0, Math.round(this.#readyAt - this.#askedAt)); // a first measure, until a ping gives a better one
    this.#presence.clear(); // the snapshot that follows `watch` is the truth of this connection
    this.#after("ping", this.#options.random() * this.#idle(), () => this.#ping());
    const turn = this.#turn;
    this.#setState("ready", { pending: frame.inbox?.pending ?? 0 });
    if (turn !== this.#turn) return; // a handler hung up
    this.#rooms.resume(frame.rooms);
    this.#inbox.resume(frame.user, this.#askedPos, frame.inbox ?? {});
    if (this.#watched.length) this.#write({ type: "watch", users: this.#watched });
    if (this.#status !== "online") this.#write({ type: "presence", status: this.#status });
    this.#outgoing.pump();
    this.#settleOpening();
  }

  #settleOpening(error = null) {
    for (const { resolve, reject } of this.#opening.splice(0)) {
      error ? reject(error) : resolve({ user: this.user, device: this.device });
    }
  }

  /** The cookie belongs to somebody else now: nothing of the old user may be sent or acked in the new one's name. */
  #userChanged(actual) {
    const expected = this.user;
    this.#detach(1000, "user changed");
    this.#abandon(new PitcheyError("user_changed", "somebody else is signed in now"));
    this.#finish(1000, "user changed");
    this.#emit("userchanged", { expected, actual });
  }

  /** Lets go of the socket without waiting for its close event, which a dead link delivers minutes later. */
  #detach(code, reason) {
    this.#turn += 1;
    this.#cancel("deadline", "retry", "ping", "pong", "flush");
    this.#authId = null;
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      code ? socket.close(code, reason) : socket.close();
    }
    for (const { reject, timer } of this.#requests.values()) {
      clearTimeout(timer);
      reject(new PitcheyError("disconnected", "the connection was lost before the answer"));
    }
    this.#requests.clear();
    this.#rooms.disconnected();
    this.#outgoing.pause();
    this.#typists.endAll();
  }

  /** Gives up on a socket that does not answer. */
  #drop(reason) {
    this.#lost(1006, reason);
  }

  #lost(closeCode, closeReason) {
    const bye = this.#bye;
    const code = closeCode === 1006 && bye ? bye.code : closeCode; // some proxies swallow the close frame
    const reason = closeReason || bye?.reason || "";
    this.#detach();
    this.#store();
    if (!mayReconnect(code)) return this.#finish(code, reason);
    const stable = this.#readyAt !== null && this.#options.now() - this.#readyAt >= this.#options.stableAfterMs;
    this.#readyAt = null;
    this.attempt = stable ? 1 : this.attempt + 1;
    const { random, backoffBaseMs, backoffCapMs } = this.#options;
    const jittered = backoff(this.attempt - 1, random, backoffBaseMs, backoffCapMs);
    const asked = bye?.retry_after > 0 ? bye.retry_after : 0;
    const delay = asked || Math.max(jittered, LEAST_DELAY_MS[code] ?? 0);
    this.#notBefore = this.#options.now() + asked;
    this.#after("retry", delay, () => this.#open());
    this.#setState("waiting", { code, reason, delay, retryAt: Date.now() + delay });
    if (code === 4401 || code === 4403) this.#emit("unauthenticated", { code, reason });
  }

  #finish(code, reason) {
    this.#listenToPage("removeEventListener");
    this.#settleOpening(new PitcheyError("closed", reason || `closed with ${code}`));
    this.#setState("closed", { code, reason });
  }

  #abandon(error) {
    this.#outgoing.clear(error);
    this.#rooms.clear(error);
    this.#watched = [];
  }

  // ---- the page around us

  #listenToPage(verb) {
    globalThis.window?.[verb]?.("online", this.#wake);
    globalThis.window?.[verb]?.("offline", this.#probe);
    globalThis.window?.[verb]?.("pageshow", this.#wake);
    globalThis.window?.[verb]?.("pagehide", this.#flush);
    globalThis.document?.[verb]?.("visibilitychange", this.#wake);
  }

  /** The page or the network came back: try now, or make sure that an open socket is not a dead one. */
  #wake = () => {
    if (globalThis.document?.visibilityState === "hidden") return;
    if (this.state === "waiting" && this.#options.now() >= this.#notBefore) this.#open();
    else this.#probe();
  };

  /** Going offline proves nothing (another interface may carry the socket), so ask, with little patience. */
  #probe = () => {
    if (this.state === "ready") this.#ping(this.#options.pongTimeoutMs / 3);
  };

  #flush = () => {
    this.#inbox.flush(this.state === "ready", this.user);
    this.#rooms.flush(this.user);
  };

  #store() {
    this.#inbox.flush(false, this.user);
    this.#rooms.flush(this.user);
  }

  /** The first change starts the clock, so acks leave at most every `ackDelayMs`, however fast entries come. */
  #flushSoon() {
    if (!this.#timers.has("flush")) this.#after("flush", this.#options.ackDelayMs, this.#flush);
  }

  // ---- frames and liveness

  #write(frame) {
    this.#sentAt = this.#options.now();
    this.#socket?.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  #request(fields) {
    if (this.state !== "ready") return Promise.reject(new PitcheyError("disconnected", "not connected"));
    const id = ++this.#nextId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#requests.delete(id);
        reject(new PitcheyError("timeout", `no answer to "${fields.type}"`));
      }, this.#options.requestTimeoutMs);
      this.#requests.set(id, { resolve, reject, timer });
      this.#write({ ...fields, id });
    });
  }

  #idle() {
    return this.server?.heartbeat ?? this.#options.pingIdleMs;
  }

  /** Both directions count: the server must hear us within 75 s, and we must notice a link that went silent. */
  #tick() {
    const quiet = this.#options.now() - Math.min(this.#sentAt, this.#heardAt);
    if (quiet >= this.#idle()) this.#ping();
    else this.#after("ping", this.#idle() - quiet, () => this.#tick());
  }

  #ping(patienceMs = this.#options.pongTimeoutMs) {
    this.#write({ type: "ping", t: Math.round(this.#options.now()) });
    this.#after("pong", patienceMs, () => this.#drop("no answer to ping"));
    this.#after("ping", this.#idle(), () => this.#tick());
  }

  #receive(text) {
    this.#heardAt = this.#options.now();
    this.#cancel("pong"); // any frame proves life
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return; // not this protocol: if it matters, a close code follows
    }
    if (frame?.id !== undefined && this.#answer(frame)) return;
    const handle = PitcheyClient.#frames[frame?.type];
    if (handle) handle.call(this, frame);
    else this.#emit("frame", frame); // of a newer server
  }

  static #frames = {
    hello({ conn, node, heartbeat, max }) {
      this.server = { conn, node, heartbeat: heartbeat || undefined };
      this.#outgoing.maxBytes = max ?? this.#outgoing.maxBytes;
    },
    ready(frame) {
      // A server that does not know `resume=1` says `ready` by itself before it has read our positions.
      if (this.#authId !== null && frame.id === this.#authId) this.#ready(frame);
    },
    inbox(frame) {
      // What comes before the answer to our `auth` comes again behind it: the replay starts over at our position.
      if (this.state === "ready") this.#inbox.receive(frame);
    },
    event(frame) {
      this.#rooms.receive(frame);
    },
    joined(frame) {
      this.#rooms.restarted(frame);
    },
    left({ room }) {
      this.#rooms.evicted(room);
    },
    typing(frame) {
      this.#typists.receive(frame);
    },
    presence(frame) {
      const known = this.#presence.get(frame.user);
      if (known && known.v >= frame.v) return; // overtaken by a newer one
      this.#presence.set(frame.user, withoutType(frame));
      this.#emit("presence", withoutType(frame));
    },
    pong({ t }) {
      if (Number.isFinite(t)) this.rtt = Math.max(0, Math.round(this.#options.now() - t));
      this.#emit("pong", { rtt: this.rtt });
    },
    error(frame) {
      this.#emit("error", toError(frame));
    },
    bye(frame) {
      this.#bye = frame;
      this.#emit("bye", { code: frame.code, reason: frame.reason ?? "", retryAfter: frame.retry_after ?? 0 });
    },
  };

  /** True if the frame answered something of ours and needs nothing more. */
  #answer(frame) {
    if (frame.type === "error" && frame.id === this.#authId) {
      // The upgrade carried a cookie: the socket acts for its user, and only our positions are missing.
      if (frame.code === "already_authenticated") this.#authenticate(null);
      else this.#after("deadline", REFUSED_GRACE_MS, () => this.#lost(4401, frame.message ?? frame.code));
      return true;
    }
    if (this.#outgoing.answer(frame)) return true;
    const request = this.#requests.get(frame.id);
    if (!request) return false;
    this.#requests.delete(frame.id);
    clearTimeout(request.timer);
    frame.type === "error" ? request.reject(toError(frame)) : request.resolve(frame);
    return true;
  }
}
