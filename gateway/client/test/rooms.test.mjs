import { afterEach, beforeEach, test } from "node:test";
import assert from "node:assert/strict";
import { connected, joinRoom, memoryStorage, OTHER, restoreTime, settle, setUp, tick, useMockTime, USER, watchPromise } from "./harness.mjs";

beforeEach(useMockTime);
afterEach(restoreTime);

const ROOM = "conversation:01890000-0000-7000-8000-0000000000c1";

test("a join is answered with the room's position and who is there", async () => {
  const set = connected();
  const promise = joinRoom(set, ROOM);
  await settle();
  assert.deepEqual(promise.value, { room: ROOM, pos: "k3:10", recovered: true, online: [OTHER], count: 1 });
  assert.deepEqual(set.of("joined"), [promise.value]);
});

test("room events are passed on once, in order, and duplicates by position are dropped", async () => {
  const set = connected();
  joinRoom(set, ROOM);
  await settle();
  for (const seq of [11, 12, 12, 11, 13]) set.socket().serve({ type: "event", room: ROOM, pos: `k3:${seq}`, from: OTHER, data: seq });
  assert.deepEqual(set.of("event").map((e) => e.data), [11, 12, 13]);
});

test("after a loss the rooms are resumed from their positions in the auth frame itself", async () => {
  const set = connected();
  joinRoom(set, ROOM);
  await settle();
  set.socket().serve({ type: "event", room: ROOM, pos: "k3:11", from: OTHER, data: 1 });
  set.socket().end(1006);
  await tick(1_000);
  set.socket().open();
  assert.deepEqual(set.socket().auth.rooms, { [ROOM]: "k3:11" });
  set.socket().answer({ rooms: { [ROOM]: { pos: "k3:13", recovered: true } } });
  for (const seq of [12, 13, 14]) set.socket().serve({ type: "event", room: ROOM, pos: `k3:${seq}`, from: OTHER, data: seq });
  assert.deepEqual(set.of("event").map((e) => e.pos), ["k3:11", "k3:12", "k3:13", "k3:14"]);
  assert.deepEqual(set.socket().of("join"), []);
});

test("a room the resume did not answer is joined by a frame of its own", async () => {
  const set = connected();
  joinRoom(set, ROOM);
  await settle();
  set.socket().end(1006);
  await tick(1_000);
  set.socket().ready();
  assert.deepEqual(set.socket().of("join").map(({ room, pos }) => [room, pos]), [[ROOM, "k3:10"]]);
});

test("recovered false is surfaced as a gap and the server's position is taken, whatever its epoch", async () => {
  const set = connected();
  joinRoom(set, ROOM);
  await settle();
  set.socket().end(1006);
  await tick(1_000);
  set.socket().ready({ rooms: { [ROOM]: { pos: "z9:2", recovered: false } } });
  assert.deepEqual(set.of("gap"), [{ kind: "room", room: ROOM, pos: "z9:2" }]);
  set.socket().serve({ type: "event", room: ROOM, pos: "z9:2", from: OTHER, data: "old" });
  set.socket().serve({ type: "event", room: ROOM, pos: "z9:3", from: OTHER, data: "new" });
  assert.deepEqual(set.of("event").map((e) => e.data), ["new"]);
});

test("a room whose history ends while we are in it is a gap, and what follows the new position is passed on", async () => {
  const set = connected();
  joinRoom(set, ROOM);
  await settle();
  set.socket().serve({ type: "joined", room: ROOM, pos: "z9:2", recovered: false, online: [], count: 3 });
  assert.deepEqual(set.of("gap"), [{ kind: "room", room: ROOM, pos: "z9:2" }]);
  assert.deepEqual(set.of("joined").at(-1), { room: ROOM, pos: "z9:2", recovered: false, online: [OTHER], count: 3 });
  for (const seq of [2, 3]) set.socket().serve({ type: "event", room: ROOM, pos: `z9:${seq}`, from: OTHER, data: seq });
  assert.deepEqual(set.of("event").map((e) => e.data), [3]);
  set.socket().serve({ type: "joined", room: "public:elsewhere", pos: "z9:2", recovered: false, online: [], count: 3 });
  assert.equal(set.of("gap").length, 1, "a room we are not in is no concern of ours");
});

test("a refused join rejects, is said once, and is not tried again", async () => {
  const set = connected();
  const promise = watchPromise(set.client.join(ROOM));
  set.socket().serve({ type: "error", id: set.socket().last("join").id, code: "forbidden", message: "not yours", retry_after: 0 });
  await settle();
  assert.equal(promise.value.code, "forbidden");
  assert.deepEqual(set.of("left"), [{ room: ROOM, code: "forbidden" }]);
  set.socket().end(1006);
  await tick(1_000);
  set.socket().ready();
  assert.deepEqual([set.socket().auth.rooms, set.socket().of("join")], [undefined, []]);
});

test("a join that may be repeated is repeated when the server said", async () => {
  const set = connected();
  const promise = watchPromise(set.client.join(ROOM));
  set.socket().serve({ type: "error", id: set.socket().last("join").id, code: "rate_limited", message: "slow down", retry_after: 700 });
  await tick(699);
  assert.equal(set.socket().of("join").length, 1);
  await tick(1);
  assert.equal(set.socket().of("join").length, 2);
  assert.equal(promise.state, "pending");
});

test("a join before the connection waits for it", async () => {
  const { client, socket } = setUp();
  const promise = watchPromise(client.join(ROOM));
  client.connect();
  socket().open();
  assert.deepEqual(socket().auth.rooms, { [ROOM]: null });
  socket().answer({ rooms: { [ROOM]: { pos: "k3:4", recovered: true } } });
  await settle();
  assert.equal(promise.value.pos, "k3:4");
});

test("a page load resumes rooms from storage, and fresh does not", async () => {
  const storage = memoryStorage({ [`pitchey.rooms.${USER}`]: JSON.stringify({ [ROOM]: "k3:7" }) });
  const set = connected({ storage });
  set.client.join(ROOM);
  set.client.join("public:lobby", { fresh: true });
  assert.deepEqual(set.socket().of("join").map((f) => f.pos), ["k3:7", undefined]);
});

test("room positions are stored and never move backwards within an epoch", async () => {
  const storage = memoryStorage({ [`pitchey.rooms.${USER}`]: JSON.stringify({ [ROOM]: "k3:20" }) });
  const set = connected({ storage });
  set.client.join(ROOM, { fresh: true });
  set.socket().serve({ type: "joined", id: set.socket().last("join").id, room: ROOM, pos: "k3:10", recovered: true, online: [], count: 0 });
  await tick(250);
  assert.equal(JSON.parse(storage.getItem(`pitchey.rooms.${USER}`))[ROOM], "k3:20");
  for (let seq = 11; seq <= 21; seq += 1) set.socket().serve({ type: "event", room: ROOM, pos: `k3:${seq}`, data: null });
  await tick(250);
  assert.equal(JSON.parse(storage.getItem(`pitchey.rooms.${USER}`))[ROOM], "k3:21");
});

test("the auth frame stays under the server's limit however many rooms there are", async () => {
  const set = connected();
  for (let i = 0; i < 100; i += 1) set.client.join(`conversation:01890000-0000-7000-8000-${String(i).padStart(12, "0")}`);
  set.socket().end(1006);
  await tick(1_000);
  set.socket().open();
  assert.ok(JSON.stringify(set.socket().auth).length <= 4_096);
  set.socket().answer();
  assert.equal(set.socket().of("join").length, 100);
});

test("leave is final and membership that is revoked is told", async () => {
  const set = connected();
  joinRoom(set, ROOM);
  joinRoom(set, "public:lobby");
  await settle();
  set.client.leave(ROOM);
  assert.equal(set.socket().last("leave").room, ROOM);
  set.socket().serve({ type: "left", room: "public:lobby" });
  assert.deepEqual(set.of("left"), [{ room: "public:lobby", code: "evicted" }]);
  assert.deepEqual(set.client.rooms, []);
});
