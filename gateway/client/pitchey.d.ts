/** Types of `pitchey.js`, the browser client of `pitchey.v1`. */

/** The WebSocket subprotocol this module speaks. */
export const PROTOCOL: "pitchey.v1";

/**
 * - `idle`: never connected
 * - `connecting`: waiting for a token, or for the WebSocket to open
 * - `authenticating`: open; the one frame that authenticates and resumes is under way
 * - `ready`: everything works
 * - `waiting`: disconnected, will try again at `retryAt`
 * - `closed`: hung up by `disconnect()`/`close()`, or by a close code that forbids coming back
 */
export type State = "idle" | "connecting" | "authenticating" | "ready" | "waiting" | "closed";

export type PresenceStatus = "online" | "away" | "offline";

/** What `localStorage` offers; give your own to keep positions elsewhere. */
export interface KeyValueStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

export interface Options {
  /** Default: `/ws` of the page's own origin. `http(s)` becomes `ws(s)`. */
  url?: string | URL;
  /**
   * A session token, or a function that fetches a fresh token or one-time ticket for every attempt (a ticket works
   * once). Leave it out where the session cookie is sent with the upgrade.
   */
  token?: string | (() => string | Promise<string>);
  /**
   * The user the page believes to be. With it the very first connection already resumes from the stored position;
   * without it the server's cursor of this device decides. If the server says otherwise: `userchanged`.
   */
  user?: string;
  /** Default: an id made once per browser and kept in storage, so that all tabs share one cursor on the server. */
  device?: string;
  /** Default: `localStorage`. `null`: nothing outlives the page. */
  storage?: KeyValueStorage | null;
  /** Default: the global one. */
  WebSocket?: new (url: string, protocols: string[]) => WebSocket;
  /** In [0, 1); default `Math.random`. */
  random?: () => number;
  /** Monotonic milliseconds; default `performance.now`. */
  now?: () => number;
  /** From dialling to `ready`, in ms. Default 15 000. */
  connectTimeoutMs?: number;
  /** For an answer, in ms. Default 10 000; an unanswered message is then sent again with the same id. */
  requestTimeoutMs?: number;
  /** At most one ack in this many ms. Default 250. */
  ackDelayMs?: number;
  /** Ping after this many silent ms. Default: the server's `hello.heartbeat`, 30 000 until it is known. */
  pingIdleMs?: number;
  /** Reconnect if nothing at all comes this many ms after a ping. Default 10 000. */
  pongTimeoutMs?: number;
  /** First step of the full-jitter back-off, in ms. Default 500. */
  backoffBaseMs?: number;
  /** Longest step of the back-off, in ms. Default 30 000. */
  backoffCapMs?: number;
  /** A connection must live this many ms to reset the back-off. Default 5 000. */
  stableAfterMs?: number;
  /** Messages that may wait for their ack. Default 100; one more is rejected with `queue_full`. */
  maxPending?: number;
  /** Inbox entries that may wait for slow handlers. Default 2 000; one more reconnects from the last handled entry. */
  maxInbox?: number;
}

/**
 * `code` is one of the server's (`forbidden`, `invalid`, `rate_limited`, …) or of this module: `disconnected`,
 * `timeout`, `queue_full`, `too_large`, `expired`, `left`, `closed`, `user_changed`, `token`, `handler`.
 */
export class PitcheyError extends Error {
  constructor(code: string, message?: string, options?: { retryAfter?: number; cause?: unknown });
  readonly code: string;
  /** In ms; 0 when trying again will not help. */
  readonly retryAfter: number;
}

export interface StateChange {
  state: State;
  previous: State;
  /** Consecutive attempts that failed so far; 0 after a stable connection. */
  attempt: number;
  /** `waiting`: ms until the next attempt. */
  delay?: number;
  /** `waiting`: when that is, in ms since 1970. */
  retryAt?: number;
  /** `waiting`, `closed`: the close code, 1006 if there was none. */
  code?: number;
  /** `waiting`, `closed`: the server's reason, or ours. */
  reason?: string;
  /** `ready`: inbox entries the server is about to replay. */
  pending?: number;
}

export interface Message {
  id: string;
  conversationId: string;
  /** Its number in the conversation, from 1 and without gaps: the order in which messages were committed. */
  seq: number;
  senderId: string;
  senderName: string;
  body: string;
  createdAt: string;
  /** The id the sender gave it; unique per sender, for ever. */
  clientId: string;
}

export interface Notification {
  id: string;
  type: string;
  title: string;
  body: string;
  metadata: Record<string, string>;
  read: boolean;
  readAt: string | null;
  /** Grows with every change of any notification of the user: drop what is older than what you have. */
  version: number;
  createdAt: string;
}

/** The inbox events this version of the platform sends. Others arrive the same way, as `unknown`. */
export interface InboxData {
  "message.created": { message: Message };
  "notification.created": { notification: Notification; unreadCount: number };
  /** `all`: everything up to `version` was read, also what `ids` does not name. */
  "notification.read": { ids: string[]; all: boolean; version: number; unreadCount: number };
}

export interface InboxEntry<Event extends string = string, Data = unknown> {
  /** Decimal, without gaps per user. */
  pos: string;
  event: Event;
  data: Data;
  /** Whether it happened before this connection was ready. */
  replayed: boolean;
}

export type InboxEntries = { [E in keyof InboxData]: InboxEntry<E, InboxData[E]> };

export interface RoomInfo {
  room: string;
  /** The room's top. */
  pos: string;
  /** False: what lies between your position and the top is gone; reload over REST. */
  recovered: boolean;
  /** At most 100 of the users in the room. */
  online: string[];
  /** How many there are. */
  count: number;
}

export interface Presence {
  user: string;
  status: PresenceStatus;
  /** Only grows. */
  v: number;
  devices: number;
}

export interface Events extends InboxEntries {
  state: StateChange;
  /**
   * Every inbox entry, in order, once per tab; and again under its own name (`message.created`, …). A handler may
   * return a promise: the next entry waits for it, and the position is acknowledged only afterwards.
   */
  inbox: InboxEntry;
  /** The replay after a `ready` is over; what follows is live. Also sent when there was nothing to replay. */
  caughtup: { replayed: number; pos: string };
  /** Something is missing that cannot be replayed: load the state over REST and go on from `pos`. */
  gap: { kind: "inbox"; pos: string } | { kind: "room"; room: string; pos: string };
  /** An event published to a room you joined. `from` is null for the server's own. */
  event: { room: string; pos: string; from: string | null; data: unknown };
  joined: RoomInfo;
  /** A room you can no longer be in: the code of the refusal, or `evicted`. Not sent for your own `leave()`. */
  left: { room: string; code: string };
  typing: { room: string; user: string; active: boolean };
  presence: Presence;
  pong: { rtt: number | null };
  /** The server announces that it will close. The client comes back by itself where the code allows it. */
  bye: { code: number; reason: string; retryAfter: number };
  /** Not, or no longer, signed in. The client goes on trying; send the user to the login, or call `close()`. */
  unauthenticated: { code: number; reason: string };
  /** The cookie belongs to another user now. The client is closed: make a new one. */
  userchanged: { expected: string; actual: string };
  /** A refusal that answered nothing in particular, or a handler that failed. */
  error: PitcheyError;
  /** A frame of a type this version does not know. */
  frame: { type?: string; [field: string]: unknown };
}

export class PitcheyClient {
  constructor(options?: Options);

  readonly state: State;
  /** Consecutive attempts that failed so far. */
  readonly attempt: number;
  /** While `waiting`: when the next attempt is due, in ms since 1970. */
  readonly retryAt: number | null;
  /** The last measured round trip, in ms: of the authentication at first, then of each ping. */
  readonly rtt: number | null;
  /** Who the server says we are; the `user` option until then. */
  readonly user: string | null;
  readonly device: string;
  /** The last inbox position whose handlers have finished. */
  readonly position: string | null;
  /** Entries replayed since the last `ready`. */
  readonly replayed: number;
  /** Messages and sends without an answer. */
  readonly pending: number;
  /** The rooms we are in, or will be in once connected. */
  readonly rooms: string[];
  /** What the last `hello` said. */
  readonly server: { conn: string; node: string; heartbeat?: number } | null;

  /** Returns the function that removes the handler. */
  on<E extends keyof Events>(type: E, handler: (payload: Events[E]) => unknown): () => void;
  /** For inbox events this version has no type for. */
  on(type: `${string}.${string}`, handler: (entry: InboxEntry) => unknown): () => void;

  /** Connects, and stays connected. The promise is settled by the first `ready`, or by a final close. */
  connect(): Promise<{ user: string; device: string }>;
  /** Hangs up and stays away. Positions, rooms and unanswered messages are kept for the next `connect()`. */
  disconnect(): void;
  /** Hangs up for good: what is unanswered is rejected with `closed`, rooms and watches are forgotten. */
  close(): void;

  /**
   * Enters a room, now and after every reconnect, from the last position seen. `fresh`: from the top, ignoring a
   * stored position. Rejected only if the server refuses; while disconnected it waits.
   */
  join(room: string, options?: { fresh?: boolean }): Promise<RoomInfo>;
  leave(room: string): Promise<void>;

  /**
   * Publishes to a room. Sent again, with the same id, until it is answered; given up with `expired` after nine
   * minutes, one minute before the server forgets the id.
   */
  send(room: string, data: unknown, options?: { id?: string }): Promise<{ id: string; pos: string }>;
  /**
   * A durable message to a conversation or a user (at most 8 KiB). Resolved once it is committed, which may be after
   * any number of reconnects; messages to one destination are committed in the order of the calls. Give your own
   * UUID as `id` to repeat it safely even after a page reload.
   */
  message(to: string, body: string, options?: { id?: string }): Promise<{ id: string; message: string; conversation?: string }>;

  /** Call it on every keystroke. True if a frame left: at most one per room in three seconds, none where not joined. */
  typing(room: string): boolean;
  /** Marks notifications as read. Rejected with `disconnected` unless ready: use REST then, the rule is the same. */
  read(notifications: string[]): Promise<unknown>;
  /** Follows these users (at most 200), instead of those watched before; answers come as `presence`. */
  watch(users: string[]): void;
  /** This connection's own status; kept across reconnects. */
  presence(status: "online" | "away"): void;
  /** The last known presence of a watched user. */
  presenceOf(user: string): Presence | null;
}

/** Whether a close code invites the client back: 4000–4499 do, 4500–4999 do not. */
export function mayReconnect(code: number): boolean;
/** A random UUID (version 4), also where the origin is not secure and `crypto.randomUUID` is missing. */
export function uuid(): string;
/** Full jitter: a whole number of ms in `[0, min(cap, base · 2^attempt)]`. */
export function backoff(attempt: number, random: () => number, baseMs?: number, capMs?: number): number;
