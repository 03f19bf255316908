import { afterEach, beforeEach, test } from "node:test";
import assert from "node:assert/strict";
import { connected, joinRoom, OTHER, restoreTime, seeded, settle, tick, useMockTime, USER } from "./harness.mjs";

beforeEach(useMockTime);
afterEach(restoreTime);

const ROOM = "conversation:01890000-0000-7000-8000-0000000000c1";

test("the first ping comes at a random phase of the heartbeat", async () => {
  const random = seeded(3);
  const phases = [];
  for (let i = 0; i < 20; i += 1) {
    const { client, socket } = connected({ random });
    for (let ms = 0; ms < 31_000 && !socket().of("ping").length; ms += 100) await tick(100);
    phases.push(socket().of("ping").length);
    client.close();
  }
  assert.ok(phases.every((n) => n === 1));
  const first = connected({ random: () => 0.1 });
  await tick(2_999);
  assert.equal(first.socket().of("ping").length, 0);
  await tick(1);
  assert.equal(first.socket().of("ping").length, 1);
});

test("after that a ping leaves whenever 30 s were silent, and traffic in both directions puts it off", async () => {
  const set = connected({ random: () => 0 });
  const { client, socket } = set;
  joinRoom(set, ROOM);
  await settle();
  const pong = () => socket().serve({ type: "pong", t: socket().last("ping").t });
  await tick(0);
  pong();
  await tick(29_999);
  assert.equal(socket().of("ping").length, 1);
  await tick(1);
  assert.equal(socket().of("ping").length, 2);
  pong();
  await tick(20_000);
  client.typing(ROOM);
  socket().inbox(1);
  await tick(10_000);
  assert.equal(socket().of("ping").length, 2, "ten seconds ago both sides spoke");
  await tick(20_250);
  assert.equal(socket().of("ping").length, 3);
});

test("only hearing is not enough: the server must hear us too", async () => {
  const { socket } = connected({ random: () => 0.99 });
  for (let i = 0; i < 6; i += 1) {
    await tick(5_000);
    socket().serve({ type: "typing", room: ROOM, user: OTHER, ttl: 1_000 });
  }
  assert.equal(socket().of("ping").length, 1);
});

test("the server's heartbeat sets the pace", async () => {
  const { socket } = connected({ random: () => 0 }, { heartbeat: 1_000 });
  await tick(0);
  for (let i = 0; i < 3; i += 1) {
    socket().serve({ type: "pong", t: socket().last("ping").t });
    await tick(1_000);
  }
  assert.equal(socket().of("ping").length, 4);
});

test("a pong measures the round trip", async () => {
  const { client, socket, of } = connected({ random: () => 0 });
  assert.equal(client.rtt, 0, "the answer to auth is the first measure");
  await tick(0);
  await tick(42);
  socket().serve({ type: "pong", t: socket().last("ping").t });
  assert.equal(client.rtt, 42);
  assert.deepEqual(of("pong"), [{ rtt: 42 }]);
});

test("no pong in time means reconnect, and any frame counts as a sign of life", async () => {
  const { client, sockets, socket, of } = connected({ random: () => 0 });
  await tick(0);
  socket().inbox(1);
  await tick(10_000);
  assert.equal(client.state, "ready");
  await tick(30_000);
  await tick(10_000);
  assert.equal(of("state").findLast((s) => s.state === "waiting").reason, "no answer to ping");
  assert.ok(sockets[0].closedWith);
});

test("typing leaves at most once in three seconds per room, and again at once after a message", async () => {
  const set = connected();
  const { client, socket } = set;
  const pitch = "pitch:01890000-0000-7000-8000-0000000000f1";
  const said = () => socket().of("typing").length;
  assert.equal(client.typing(ROOM), false, "not before the room is joined");
  for (const room of [ROOM, pitch]) joinRoom(set, room);
  await settle();
  for (let i = 0; i < 10; i += 1) {
    client.typing(ROOM);
    await tick(290);
  }
  assert.equal(said(), 1);
  await tick(100);
  assert.equal(client.typing(ROOM), true);
  assert.equal(client.typing(pitch), true);
  assert.equal(said(), 3);
  client.message(ROOM.split(":")[1], "done");
  assert.equal(client.typing(ROOM), true);
  client.disconnect();
  assert.equal(client.typing(ROOM), false);
});

test("somebody's typing ends by itself, by ttl 0, by their message and by losing the connection", async () => {
  const { socket, of } = connected();
  const type = (ttl = 6_000) => socket().serve({ type: "typing", room: ROOM, user: OTHER, ttl });
  const flags = () => of("typing").map((t) => t.active);
  type();
  await tick(4_000);
  type(); // refreshed, and not announced again
  await tick(5_999);
  assert.deepEqual(flags(), [true]);
  await tick(1);
  assert.deepEqual(flags(), [true, false]);
  type();
  type(0);
  type();
  socket().inbox(1, "message.created", { message: { conversationId: ROOM.split(":")[1], senderId: OTHER } });
  type();
  socket().end(1006);
  assert.deepEqual(flags(), [true, false, true, false, true, false, true, false]);
});

test("a flood of typists is bounded", () => {
  const { socket, of } = connected();
  for (let i = 0; i < 5_000; i += 1) socket().serve({ type: "typing", room: ROOM, user: `u${i}`, ttl: 6_000 });
  assert.equal(of("typing").length, 500);
});

test("presence is versioned: an overtaken frame is dropped, and a new connection starts afresh", async () => {
  const { client, socket, of } = connected();
  client.watch([OTHER, OTHER]);
  assert.deepEqual(socket().last("watch").users, [OTHER]);
  const presence = (status, v) => socket().serve({ type: "presence", user: OTHER, status, v, devices: 1 });
  presence("online", 17);
  presence("offline", 16);
  assert.equal(client.presenceOf(OTHER).status, "online");
  client.presence("away");
  socket().end(1006);
  await tick(1_000);
  socket().ready();
  assert.deepEqual(socket().last("watch").users, [OTHER]);
  assert.equal(socket().last("presence").status, "away");
  presence("offline", 3);
  assert.deepEqual(of("presence").map((p) => [p.status, p.v]), [["online", 17], ["offline", 3]]);
});

test("frames of a newer server are passed on and broken ones are survived", async () => {
  const { client, socket, of } = connected();
  socket().serve({ type: "hologram", depth: 3 });
  for (const text of ["", "{", "null", "[]", "7", '"x"', '{"type":"inbox"}', '{"type":"inbox","pos":"x"}', '{"type":"event","room":"nope"}']) {
    socket().serve(text);
  }
  socket().serve({ type: "error", code: "invalid", message: "an ack from the future", retry_after: 0 });
  await settle();
  assert.equal(client.state, "ready");
  assert.equal(client.user, USER);
  assert.deepEqual(of("frame")[0], { type: "hologram", depth: 3 });
  assert.deepEqual(of("error").map((e) => e.code), ["invalid"]);
});
