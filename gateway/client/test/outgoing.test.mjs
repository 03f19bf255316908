import { afterEach, beforeEach, test } from "node:test";
import assert from "node:assert/strict";
import { uuid } from "../pitchey.js";
import { connected, OTHER, restoreTime, seeded, settle, setUp, tick, useMockTime, watchPromise } from "./harness.mjs";

beforeEach(useMockTime);
afterEach(restoreTime);

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const THIRD = "01890000-0000-7000-8000-00000000000d";

test("a message is resolved by its ack with the stored message's id", async () => {
  const { client, socket } = connected();
  const message = watchPromise(client.message(OTHER, "hello"));
  const frame = socket().last("message");
  assert.match(frame.id, UUID);
  assert.deepEqual([frame.to, frame.body], [OTHER, "hello"]);
  socket().serve({ type: "ack", id: frame.id, message: "m1", conversation: "c1" });
  await settle();
  assert.deepEqual(message.value, { id: frame.id, message: "m1", conversation: "c1" });
  assert.equal(client.pending, 0);
});

test("ids are UUIDs also where the page's origin is not secure", (t) => {
  const hidden = Object.getOwnPropertyDescriptor(crypto, "randomUUID");
  Object.defineProperty(crypto, "randomUUID", { value: undefined, configurable: true });
  t.after(() => (hidden ? Object.defineProperty(crypto, "randomUUID", hidden) : delete crypto.randomUUID));
  const ids = Array.from({ length: 200 }, uuid);
  assert.ok(ids.every((id) => UUID.test(id)));
  assert.equal(new Set(ids).size, 200);
});

test("a pending message is sent again after a reconnect with the same id and is resolved once", async () => {
  const { client, socket } = connected();
  const message = watchPromise(client.message(OTHER, "hello"));
  const { id } = socket().last("message");
  socket().end(1006);
  await tick(1_000);
  socket().ready();
  assert.deepEqual(socket().of("message").map((f) => f.id), [id]);
  socket().serve({ type: "ack", id, message: "m1" });
  socket().serve({ type: "ack", id, message: "m1" });
  await settle();
  assert.equal(message.times, 1);
  socket().end(1006);
  await tick(1_000);
  socket().ready();
  assert.deepEqual(socket().of("message"), [], "answered is answered");
});

test("a message written while offline leaves when the connection is ready, in order", async () => {
  const { client, socket } = setUp();
  for (const body of ["one", "two", "three"]) client.message(OTHER, body);
  client.connect();
  socket().ready();
  const bodies = [];
  for (let i = 0; i < 3; i += 1) {
    const frame = socket().last("message");
    bodies.push(frame.body);
    socket().serve({ type: "ack", id: frame.id, message: `m${i}` });
  }
  assert.deepEqual(bodies, ["one", "two", "three"]);
});

test("one destination has one message in flight, and destinations do not wait for each other", () => {
  const { client, socket } = connected();
  client.message(OTHER, "a1");
  client.message(OTHER, "a2");
  client.message(THIRD, "b1");
  assert.deepEqual(socket().of("message").map((f) => f.body), ["a1", "b1"]);
});

test("a message made inside the ready handler is sent once", async () => {
  const { client, socket } = setUp();
  client.on("state", ({ state }) => void (state === "ready" && client.message(OTHER, "hi")));
  client.connect();
  socket().ready();
  assert.equal(socket().of("message").length, 1);
});

test("an ack that never comes makes the same id leave again on the same connection", async () => {
  const { client, socket } = connected();
  client.message(OTHER, "hello");
  await tick(10_000);
  const ids = socket().of("message").map((f) => f.id);
  assert.equal(ids.length, 2);
  assert.equal(new Set(ids).size, 1);
});

test("a refusal that will not change rejects, and the next message goes on", async () => {
  const { client, socket } = connected();
  const refused = watchPromise(client.message(OTHER, "no"));
  const next = watchPromise(client.message(OTHER, "yes"));
  socket().serve({ type: "error", id: socket().last("message").id, code: "forbidden", message: "blocked", retry_after: 0 });
  await settle();
  assert.equal(refused.value.code, "forbidden");
  assert.equal(socket().last("message").body, "yes");
  assert.equal(next.state, "pending");
});

test("a refusal with retry_after holds everything back for that long and keeps the order", async () => {
  const { client, socket } = connected();
  client.message(OTHER, "one");
  client.message(OTHER, "two");
  const { id } = socket().last("message");
  socket().serve({ type: "error", id, code: "rate_limited", message: "slow down", retry_after: 400 });
  client.message(THIRD, "three");
  await tick(399);
  assert.equal(socket().of("message").length, 1);
  await tick(1);
  assert.deepEqual(socket().of("message").map((f) => f.body), ["one", "one", "three"]);
  assert.equal(socket().of("message")[1].id, id);
});

test("the queue is bounded and says so", async () => {
  const { client } = setUp({ maxPending: 3 });
  for (const body of ["1", "2", "3"]) client.message(OTHER, body);
  const fourth = watchPromise(client.message(OTHER, "4"));
  await settle();
  assert.equal(fourth.value.code, "queue_full");
  assert.equal(client.pending, 3);
});

test("a frame the server would not take is refused before it is sent", async () => {
  const { client, socket } = connected();
  const big = watchPromise(client.send("public:lobby", "é".repeat(40_000)));
  await settle();
  assert.equal(big.value.code, "too_large");
  assert.deepEqual(socket().of("send"), []);
});

test("the same id given twice is one message", () => {
  const { client, socket } = connected();
  const id = crypto.randomUUID();
  assert.equal(client.message(OTHER, "hello", { id }), client.message(OTHER, "hello", { id }));
  assert.equal(socket().of("message").length, 1);
});

test("a send is repeated with its id too, but not once the server may have forgotten it", async () => {
  const { client, socket } = connected();
  const send = watchPromise(client.send("public:lobby", { x: 1 }));
  const { id } = socket().last("send");
  socket().end(1006);
  await tick(1_000);
  socket().ready();
  assert.equal(socket().last("send").id, id);
  client.disconnect();
  await tick(9 * 60_000);
  client.connect();
  socket().ready();
  await settle();
  assert.equal(send.value.code, "expired");
  assert.deepEqual(socket().of("send"), []);
});

test("read is answered by id, times out, and is refused while disconnected", async () => {
  const { client, socket } = connected();
  const first = watchPromise(client.read(["n1"]));
  const second = watchPromise(client.read(["n2"]));
  const [a] = socket().of("read");
  socket().serve({ type: "ack", id: a.id });
  await tick(10_000);
  assert.equal(first.state, "resolved");
  assert.equal(second.value.code, "timeout");
  client.disconnect();
  const third = watchPromise(client.read(["n3"]));
  await settle();
  assert.equal(third.value.code, "disconnected");
});

/** A server that commits by id, and a network that loses frames and acks and cuts connections as the seed wants it. */
for (const seed of [11, 12, 13, 14, 15, 16]) {
  test(`whatever the network does, every message is stored once, in order, and resolved once (seed ${seed})`, async () => {
    const random = seeded(seed);
    const { client, socket } = setUp({ random, maxPending: 1_000 });
    const stored = new Map(); // id -> body, in the order of the commits
    const [read, promises] = [new WeakMap(), []];
    const serve = (reliable = false) => {
      const line = socket();
      if (!line || line.closedWith) return;
      if (!read.has(line)) {
        line.ready();
        read.set(line, 0);
      }
      const frames = line.of("message");
      for (const { id, to, body } of frames.slice(read.get(line))) {
        if (!reliable && random() < 0.1) continue; // never arrived
        if (!reliable && !stored.has(id) && random() < 0.1) {
          line.serve({ type: "error", id, code: "rate_limited", message: "slow down", retry_after: 300 });
          continue;
        }
        if (!stored.has(id)) stored.set(id, { to, body });
        if (reliable || random() < 0.7) line.serve({ type: "ack", id, message: `stored-${id}` });
      }
      read.set(line, frames.length);
    };
    client.connect();
    for (let step = 0; step < 300; step += 1) {
      if (random() < 0.5) promises.push(watchPromise(client.message(random() < 0.5 ? "a" : "b", step)));
      if (random() < 0.1 && !socket().closedWith && read.has(socket())) socket().end(1006);
      serve();
      await tick(Math.floor(random() * 800));
    }
    for (let round = 0; round < 400 && client.pending; round += 1) {
      serve(true);
      await tick(1_000);
    }
    assert.equal(client.pending, 0);
    assert.ok(promises.length > 100);
    assert.ok(promises.every((p) => p.state === "resolved" && p.times === 1));
    assert.equal(stored.size, promises.length);
    for (const to of ["a", "b"]) {
      const bodies = [...stored.values()].filter((m) => m.to === to).map((m) => m.body);
      assert.deepEqual(bodies, [...bodies].sort((x, y) => x - y), "in the order of the calls");
    }
  });
}
