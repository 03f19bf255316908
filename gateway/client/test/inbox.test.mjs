import { afterEach, beforeEach, test } from "node:test";
import assert from "node:assert/strict";
import { connected, memoryStorage, restoreTime, seeded, settle, setUp, tick, useMockTime, USER } from "./harness.mjs";

beforeEach(useMockTime);
afterEach(restoreTime);

const positions = (of) => of("inbox").map((entry) => Number(entry.pos));

test("the resume frame carries the stored inbox position of this user", () => {
  const storage = memoryStorage({ [`pitchey.inbox.${USER}`]: "41" });
  const { client, socket } = setUp({ storage, user: USER });
  client.connect();
  socket().open();
  assert.equal(socket().auth.inbox, "41");
});

test("no position is sent before the user is known, since it might be somebody else's", () => {
  const storage = memoryStorage({ [`pitchey.inbox.${USER}`]: "41" });
  const { client, socket } = setUp({ storage });
  client.connect();
  socket().open();
  assert.equal("inbox" in socket().auth, false);
});

test("after a loss the same frame that authenticates resumes from the last entry seen", async () => {
  const { socket } = connected();
  for (const pos of [1, 2, 3]) socket().inbox(pos);
  socket().end(1006);
  await tick(1_000);
  socket().open();
  assert.equal(socket().auth.inbox, "3");
});

test("entries arrive once and in order, under their own name and as inbox", () => {
  const { client, socket, of } = connected();
  const named = [];
  client.on("message.created", (entry) => void named.push(entry.data));
  socket().inbox(1, "message.created", { message: { id: "m" } });
  socket().inbox(2, "pitch.published", { anything: true });
  assert.deepEqual(positions(of), [1, 2]);
  assert.deepEqual(named, [{ message: { id: "m" } }]);
});

test("duplicates by position are dropped, before and after a reconnect", async () => {
  const { socket, of } = connected();
  for (const pos of [1, 2, 2, 1, 3]) socket().inbox(pos);
  socket().end(1006);
  await tick(1_000);
  socket().ready({ inbox: { pos: "1", pending: 3 } });
  for (const pos of [2, 3, 4]) socket().inbox(pos);
  assert.deepEqual(positions(of), [1, 2, 3, 4]);
});

test("acks are cumulative and at most one leaves in a quarter second", async () => {
  const { socket } = connected();
  for (let pos = 1; pos <= 50; pos += 1) socket().inbox(pos);
  assert.deepEqual(socket().of("ack"), []);
  await tick(250);
  for (let pos = 51; pos <= 60; pos += 1) socket().inbox(pos);
  await tick(249);
  assert.deepEqual(socket().of("ack"), [{ type: "ack", pos: "50" }]);
  await tick(1);
  assert.deepEqual(socket().of("ack").at(-1), { type: "ack", pos: "60" });
  await tick(10_000);
  assert.equal(socket().of("ack").length, 2, "nothing new, nothing to ack");
});

test("an entry is acked only after its handler's promise has settled, and the next one waits for it", async () => {
  const { client, socket } = connected();
  const started = [];
  let finish;
  client.on("slow.event", (entry) => {
    started.push(entry.pos);
    return new Promise((resolve) => (finish = resolve));
  });
  socket().inbox(1, "slow.event");
  socket().inbox(2, "slow.event");
  await tick(1_000);
  assert.deepEqual(started, ["1"]);
  assert.deepEqual(socket().of("ack"), []);
  finish();
  await tick(250);
  assert.deepEqual(started, ["1", "2"]);
  assert.deepEqual(socket().of("ack"), [{ type: "ack", pos: "1" }]);
});

test("a handler that throws is reported, and neither blocks the inbox nor the other handlers", async () => {
  const { client, socket, of } = connected();
  client.on("bad.event", () => {
    throw new Error("oops");
  });
  const after = [];
  client.on("bad.event", (entry) => void after.push(entry.pos));
  socket().inbox(1, "bad.event");
  socket().inbox(2, "bad.event");
  await tick(250);
  assert.deepEqual(after, ["1", "2"]);
  assert.equal(of("error")[0].cause.message, "oops");
  assert.equal(socket().last("ack").pos, "2");
});

test("what was handled but perhaps not acked is acked again on the next connection", async () => {
  const { socket } = connected();
  socket().inbox(1);
  socket().end(1006);
  await tick(500);
  socket().ready({ inbox: { pos: "0", pending: 1 } });
  await tick(250);
  assert.deepEqual(socket().of("ack"), [{ type: "ack", pos: "1" }]);
});

test("resuming from a position is no ack, so what was handled is acked once more", async () => {
  const { socket } = connected();
  for (const pos of [1, 2]) socket().inbox(pos);
  socket().end(1006);
  await tick(500);
  socket().ready();
  assert.equal(socket().auth.inbox, "2");
  await tick(250);
  assert.deepEqual(socket().of("ack"), [{ type: "ack", pos: "2" }]);
});

test("replayed entries are marked and counted, and caughtup is said once behind the last of them", async () => {
  const { client, socket, log, of } = connected({}, { inbox: { pos: "5", pending: 2 } });
  for (const pos of [6, 7, 8]) socket().inbox(pos);
  assert.deepEqual(of("inbox").map((e) => e.replayed), [true, true, false]);
  await settle();
  const order = log.filter(([type]) => type === "inbox" || type === "caughtup").map(([type]) => type);
  assert.deepEqual(order, ["inbox", "inbox", "caughtup", "inbox"]);
  assert.deepEqual(of("caughtup"), [{ replayed: 2, pos: "7" }]);
  assert.equal(client.replayed, 2);
});

test("caughtup is said also when nothing was missed", () => {
  const { of } = connected({}, { inbox: { pos: "9", pending: 0 } });
  assert.deepEqual(of("caughtup"), [{ replayed: 0, pos: "9" }]);
});

test("trimmed entries are reported as a gap and the server's position is taken", async () => {
  const storage = memoryStorage({ [`pitchey.inbox.${USER}`]: "10" });
  const { client, socket, of } = connected({ storage, user: USER }, { inbox: { pos: "90", pending: 1, recovered: false } });
  socket().inbox(91);
  await tick(250);
  assert.deepEqual(of("gap"), [{ kind: "inbox", pos: "90" }]);
  assert.deepEqual(positions(of), [91]);
  assert.equal(client.position, "91");
});

test("a stored position from another life of the server does not hide new entries", async () => {
  const storage = memoryStorage({ [`pitchey.inbox.${USER}`]: "500" });
  const { socket, of } = connected({ storage, user: USER }, { inbox: { pos: "3", pending: 1 } });
  socket().inbox(4);
  await tick(250);
  assert.deepEqual(positions(of), [4]);
  assert.equal(of("gap").length, 1);
  assert.equal(storage.getItem(`pitchey.inbox.${USER}`), "4");
});

test("with a cookie, what comes before the answer to our auth is neither lost nor seen twice", async () => {
  const { client, socket, of } = setUp();
  client.connect();
  socket().open();
  const own = { type: "ready", user: USER, device: "d", inbox: { pos: "0", pending: 2, recovered: true } };
  socket().serve(own);
  socket().inbox(1);
  assert.equal(client.state, "authenticating");
  socket().answer({ inbox: { pos: "0", pending: 2 } });
  socket().inbox(1);
  socket().inbox(2);
  assert.deepEqual(positions(of), [1, 2]);
  // This tab is behind the device's cursor, which another tab moved: the server starts there, then rewinds for us.
  socket().end(1006);
  await tick(500);
  socket().open();
  socket().serve({ ...own, inbox: { pos: "7", pending: 1, recovered: true } });
  socket().inbox(8);
  socket().answer({ inbox: { pos: "2", pending: 6 } });
  for (let pos = 3; pos <= 8; pos += 1) socket().inbox(pos);
  assert.deepEqual(positions(of), [1, 2, 3, 4, 5, 6, 7, 8]);
});

test("two tabs of one browser share the device and the stored position, and each sees every entry", async () => {
  const storage = memoryStorage();
  const a = connected({ storage });
  const b = connected({ storage });
  assert.equal(a.client.device, b.client.device);
  for (const pos of [1, 2, 3]) a.socket().inbox(pos);
  await tick(250);
  assert.equal(storage.getItem(`pitchey.inbox.${USER}`), "3");
  b.socket().inbox(1);
  await tick(250);
  assert.equal(storage.getItem(`pitchey.inbox.${USER}`), "3", "the slower tab does not move it backwards");
  b.socket().end(1006);
  await tick(500);
  b.socket().open();
  assert.equal(b.socket().auth.inbox, "1", "and resumes from what it has seen itself");
  b.socket().answer({ inbox: { pos: "1", pending: 2 } });
  for (const pos of [2, 3]) b.socket().inbox(pos);
  assert.deepEqual([positions(a.of), positions(b.of)], [[1, 2, 3], [1, 2, 3]]);
});

test("handlers that are too slow drop the socket and lose nothing", async () => {
  const { client, socket } = connected({ maxInbox: 10 });
  const handled = [];
  let release;
  client.on("slow.event", (entry) => {
    handled.push(Number(entry.pos));
    if (entry.pos === "1") return new Promise((resolve) => (release = resolve));
  });
  for (let pos = 1; pos <= 12; pos += 1) socket().inbox(pos, "slow.event");
  assert.equal(client.state, "waiting");
  release();
  await tick(1_000);
  socket().open();
  const from = Number(socket().auth.inbox);
  assert.equal(from, 1, "from the entry that was being handled");
  socket().answer({ inbox: { pos: String(from), pending: 12 - from } });
  for (let pos = from + 1; pos <= 12; pos += 1) socket().inbox(pos, "slow.event");
  await settle();
  assert.deepEqual(handled, Array.from({ length: 12 }, (_, i) => i + 1));
});

test("a handler that outlives a gap does not bring the old position back", async () => {
  const { client, socket, of } = connected({}, { inbox: { pos: "498", pending: 1 } });
  let release;
  client.on("slow.event", () => new Promise((resolve) => (release = resolve)));
  socket().inbox(499, "slow.event");
  socket().end(1006);
  await tick(1_000);
  socket().ready({ inbox: { pos: "3", pending: 1 } });
  release();
  socket().inbox(4);
  await tick(250);
  assert.deepEqual(of("inbox").map((e) => e.pos), ["499", "4"]);
  assert.deepEqual(socket().of("ack"), [{ type: "ack", pos: "4" }]);
});

test("storage that throws costs nothing but the memory of the next page", async () => {
  const broken = { getItem: () => assert.fail("denied"), setItem: () => assert.fail("denied") };
  const { client, socket, of } = connected({ storage: broken });
  socket().inbox(1);
  await tick(250);
  assert.equal(client.position, "1");
  assert.deepEqual(positions(of), [1]);
});

test("leaving the page acks and stores at once", async () => {
  const storage = memoryStorage();
  const { client, socket } = connected({ storage });
  socket().inbox(1);
  client.disconnect();
  assert.deepEqual(socket().of("ack"), [{ type: "ack", pos: "1" }]);
  assert.equal(storage.getItem(`pitchey.inbox.${USER}`), "1");
});

/**
 * A model of the server's side of one device: a log, a cursor that acks move, connections that replay from the
 * client's position. The network drops connections, acks and the tails of replays as the seed wants it.
 */
for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`whatever the network does, every tab sees every entry once and in order (seed ${seed})`, async () => {
    const random = seeded(seed);
    const storage = memoryStorage();
    let top = 0;
    let cursor = 0;
    const tabs = [0, 1].map(() => ({ ...setUp({ storage, random }), live: null, sent: 0, acks: 0 }));
    const serve = (tab) => {
      const socket = tab.socket();
      if (!socket || socket.closedWith) return;
      if (tab.live !== socket) {
        socket.open();
        tab.sent = Number(socket.auth.inbox ?? cursor);
        socket.answer({ inbox: { pos: String(tab.sent), pending: top - tab.sent } });
        tab.live = socket;
        tab.acks = 0;
      }
      while (tab.sent < top && random() < 0.8) socket.inbox((tab.sent += 1));
      for (const { pos } of socket.of("ack").slice(tab.acks)) {
        assert.ok(Number(pos) <= tab.sent, "no ack from the future");
        if (random() < 0.7) cursor = Math.max(cursor, Number(pos)); // else lost with the process
      }
      tab.acks = socket.of("ack").length;
    };
    for (const tab of tabs) {
      tab.client.connect();
      serve(tab);
    }
    let stored = 0;
    for (let step = 0; step < 400; step += 1) {
      if (random() < 0.6) top += Math.floor(random() * 4);
      const tab = tabs[Math.floor(random() * 2)];
      if (random() < 0.15) tab.live?.end([1006, 1012, 4408, 4409][Math.floor(random() * 4)]);
      serve(tab);
      await tick(Math.floor(random() * 400));
      const now = Number(storage.getItem(`pitchey.inbox.${USER}`) ?? 0);
      assert.ok(now >= stored, "the stored position never moves backwards");
      stored = now;
    }
    for (let round = 0; round < 200; round += 1) {
      tabs.forEach(serve);
      await tick(1_000);
    }
    assert.ok(top > 100);
    const everything = Array.from({ length: top }, (_, i) => i + 1);
    for (const tab of tabs) assert.deepEqual(positions(tab.of), everything);
  });
}
