/**
 * What every test here needs: a WebSocket whose other end is the test, storage in a Map, hand-moved time.
 * No test waits: time moves only with `tick`, which also lets promises settle.
 */
import { mock } from "node:test";
import { PitcheyClient } from "../pitchey.js";

export const USER = "01890000-0000-7000-8000-00000000000a";
export const OTHER = "01890000-0000-7000-8000-00000000000b";

/** The server's end of a connection. `sent` holds the decoded frames of the client. */
export class FakeSocket {
  sent = [];
  closedWith = null;

  constructor(url, protocols) {
    this.url = new URL(url);
    this.protocols = protocols;
  }
  send(text) {
    if (this.closedWith) throw new Error("sent on a closed socket");
    this.sent.push(JSON.parse(text));
  }
  close(code, reason) {
    this.closedWith ??= { code, reason };
  }
  open() {
    this.onopen?.();
  }
  serve(frame) {
    this.onmessage?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }
  /** The close event as a browser delivers it. */
  end(code = 1006, reason = "") {
    this.closedWith ??= { code, reason };
    this.onclose?.({ code, reason });
  }
  of(type) {
    return this.sent.filter((frame) => frame.type === type);
  }
  last(type) {
    return this.of(type).at(-1);
  }
  get auth() {
    return this.last("auth");
  }
  /** Opens, greets and answers the client's `auth`. */
  ready({ user = USER, inbox = {}, rooms, heartbeat = 30_000 } = {}) {
    this.open();
    this.serve({ type: "hello", conn: "c_1", heartbeat, max: 65_536, node: "gw-1" });
    this.answer({ user, inbox, rooms });
    return this;
  }
  answer({ user = USER, inbox = {}, rooms } = {}) {
    const start = this.auth.inbox ?? "0";
    const standing = { pos: start, pending: 0, recovered: true, ...inbox };
    this.serve({ type: "ready", id: this.auth.id, user, device: "d", inbox: standing, rooms });
  }
  inbox(pos, event = "test.happened", data = { n: pos }) {
    this.serve({ type: "inbox", pos: String(pos), event, data });
  }
}

export function memoryStorage(initial = {}) {
  const map = new Map(Object.entries(initial));
  return {
    map,
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, value) => map.set(key, String(value)),
  };
}

/** Small, fast and the same on every machine. */
export function seeded(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function useMockTime() {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
}
export function restoreTime() {
  mock.timers.reset();
  delete globalThis.window;
  delete globalThis.document;
}

/** Lets every promise that can settle, settle. */
export async function settle() {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}
export async function tick(ms) {
  await settle();
  mock.timers.tick(ms);
  await settle();
}

/** A client on fake sockets; `socket()` is the newest. Everything it emits is in `log` as [type, payload]. */
export function setUp(options = {}) {
  const sockets = [];
  const client = new PitcheyClient({
    url: "ws://pitchey.test/ws",
    storage: memoryStorage(),
    random: () => 0.5,
    now: () => Date.now(),
    WebSocket: class extends FakeSocket {
      constructor(...args) {
        super(...args);
        sockets.push(this);
      }
    },
    ...options,
  });
  const log = [];
  const types = ["state", "inbox", "caughtup", "gap", "event", "joined", "left", "typing", "presence", "pong", "bye"];
  for (const type of [...types, "unauthenticated", "userchanged", "error", "frame"]) {
    client.on(type, (payload) => void log.push([type, payload]));
  }
  const of = (type) => log.filter(([t]) => t === type).map(([, payload]) => payload);
  return { client, sockets, log, of, socket: () => sockets.at(-1) };
}

/** A client that is connected and authenticated. */
export function connected(options = {}, standing = {}) {
  const set = setUp(options);
  set.client.connect();
  set.socket().ready(standing);
  return set;
}

/** Enters a room; returns the outcome of the join. */
export function joinRoom(set, room, answer = {}) {
  const promise = watchPromise(set.client.join(room));
  const { id } = set.socket().last("join");
  set.socket().serve({ type: "joined", id, room, pos: "k3:10", recovered: true, online: [OTHER], count: 1, ...answer });
  return promise;
}

/** The outcome of a promise, without waiting for it. */
export function watchPromise(promise) {
  const seen = { state: "pending", value: undefined, times: 0 };
  promise.then(
    (value) => Object.assign(seen, { state: "resolved", value, times: seen.times + 1 }),
    (value) => Object.assign(seen, { state: "rejected", value, times: seen.times + 1 }),
  );
  return seen;
}

/** A page: listeners of `window` and `document` that the test can call. */
export function fakePage() {
  const listeners = new Map();
  const target = {
    addEventListener: (type, handler) => listeners.set(type, handler),
    removeEventListener: (type) => listeners.delete(type),
  };
  globalThis.window = target;
  globalThis.document = { ...target, visibilityState: "visible" };
  return { listeners, fire: (type) => listeners.get(type)?.() };
}
