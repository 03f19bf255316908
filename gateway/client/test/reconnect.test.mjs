import { afterEach, beforeEach, test } from "node:test";
import assert from "node:assert/strict";
import { backoff, mayReconnect } from "../pitchey.js";
import { connected, fakePage, OTHER, restoreTime, seeded, settle, setUp, tick, useMockTime, USER, watchPromise } from "./harness.mjs";

beforeEach(useMockTime);
afterEach(restoreTime);

test("codes from 4000 to 4499 invite the client back and those from 4500 to 4999 do not", () => {
  const back = [1001, 1005, 1006, 1011, 1012, 1013, 4000, 4400, 4401, 4403, 4408, 4409, 4410, 4411, 4429, 4499];
  const final = [1000, 1002, 1003, 1007, 1009, 4500, 4501, 4503, 4520, 4999];
  assert.deepEqual(back.filter(mayReconnect), back);
  assert.deepEqual(final.filter(mayReconnect), []);
});

test("the states of a first connection are connecting, authenticating and ready", () => {
  const { client, socket, of } = setUp();
  assert.equal(client.state, "idle");
  client.connect();
  socket().ready();
  assert.deepEqual(of("state").map((s) => s.state), ["connecting", "authenticating", "ready"]);
  assert.deepEqual(socket().protocols, ["pitchey.v1"]);
  assert.equal(socket().url.searchParams.get("device"), client.device);
  assert.equal(socket().url.searchParams.get("resume"), "1", "`ready` waits for the positions in our `auth`");
});

test("connect resolves with the user once ready and is rejected by a final close", async () => {
  const { client, socket } = setUp();
  const first = watchPromise(client.connect());
  socket().ready();
  await settle();
  assert.deepEqual(first.value, { user: USER, device: client.device });
  socket().end(4503, "signed out");
  const second = watchPromise(client.connect());
  socket().end(4501, "forbidden origin");
  await settle();
  assert.equal(second.state, "rejected");
});

test("after 4503 the client stays away", async () => {
  const { client, sockets, socket, of } = connected();
  socket().end(4503, "signed out");
  assert.equal(client.state, "closed");
  assert.equal(of("state").at(-1).code, 4503);
  await tick(3_600_000);
  assert.equal(sockets.length, 1);
});

test("a lost connection is tried again and the attempts are counted until one is stable", async () => {
  const { client, sockets, socket, of } = connected();
  socket().end(1006);
  assert.equal(client.state, "waiting");
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    assert.equal(client.attempt, attempt);
    await tick(of("state").at(-1).delay);
    assert.equal(sockets.length, attempt + 1);
    socket().end(1006);
  }
  await tick(of("state").at(-1).delay);
  socket().ready();
  await tick(6_000);
  socket().end(1006);
  assert.equal(client.attempt, 1, "a connection that lived for five seconds starts the count again");
});

test("a server that accepts and drops at once does not reset the back-off", async () => {
  const { client, socket, of } = connected();
  for (let round = 1; round <= 5; round += 1) {
    socket().end(1006);
    assert.equal(client.attempt, round);
    await tick(of("state").at(-1).delay);
    socket().ready();
  }
});

test("the back-off is full jitter: anywhere between zero and the doubled step, never over the cap", () => {
  const random = seeded(7);
  for (let attempt = 0; attempt < 40; attempt += 1) {
    const draws = Array.from({ length: 300 }, () => backoff(attempt, random, 500, 30_000));
    const most = Math.min(30_000, 500 * 2 ** attempt);
    assert.ok(draws.every((ms) => Number.isInteger(ms) && ms >= 0 && ms <= most));
    assert.ok(Math.min(...draws) < most * 0.1 && Math.max(...draws) > most * 0.9, `spread of attempt ${attempt}`);
  }
});

test("a bye with retry_after decides when to come back", async () => {
  const { sockets, socket, of } = connected();
  socket().serve({ type: "bye", code: 1012, reason: "drain", retry_after: 3_721 });
  socket().end(1012, "drain");
  assert.deepEqual(of("bye"), [{ code: 1012, reason: "drain", retryAfter: 3_721 }]);
  assert.equal(of("state").at(-1).delay, 3_721);
  await tick(3_720);
  assert.equal(sockets.length, 1);
  await tick(1);
  assert.equal(sockets.length, 2);
});

test("a bye whose close frame was swallowed still decides", async () => {
  const { client, socket, of } = connected();
  socket().serve({ type: "bye", code: 4503, reason: "signed out", retry_after: 0 });
  socket().end(1006);
  assert.equal(client.state, "closed");
  assert.deepEqual([of("state").at(-1).code, of("state").at(-1).reason], [4503, "signed out"]);
});

test("a bye without a wish is jittered like any other loss", () => {
  const { socket, of } = connected();
  socket().serve({ type: "bye", code: 4408, reason: "slow consumer", retry_after: 0 });
  socket().end(4408);
  assert.equal(of("state").at(-1).delay, 250);
});

test("a replaced connection does not come straight back to replace the next one", () => {
  const { socket, of } = connected();
  socket().end(4410, "replaced by a newer connection");
  assert.ok(of("state").at(-1).delay >= 30_000);
});

test("the page coming back into view reconnects at once, but not before the server's retry_after", async () => {
  const page = fakePage();
  const { client, sockets, socket } = connected();
  socket().end(1006);
  page.fire("visibilitychange");
  assert.equal(sockets.length, 2);
  socket().ready();
  socket().serve({ type: "bye", code: 1013, reason: "overloaded", retry_after: 9_000 });
  socket().end(1013);
  page.fire("online");
  assert.equal(client.state, "waiting");
  await tick(9_000);
  assert.equal(sockets.length, 3);
});

test("a hidden page waits for its turn", () => {
  const page = fakePage();
  const { sockets, socket } = connected();
  globalThis.document.visibilityState = "hidden";
  socket().end(1006);
  page.fire("visibilitychange");
  assert.equal(sockets.length, 1);
});

test("going offline asks the socket for a sign of life and gives it up quickly", async () => {
  const page = fakePage();
  const { client, socket } = connected();
  page.fire("offline");
  assert.equal(socket().of("ping").length, 1);
  await tick(3_334);
  assert.equal(client.state, "waiting");
});

test("disconnect hangs up, stays away and keeps what connect needs to go on", async () => {
  const page = fakePage();
  const { client, sockets, socket } = connected();
  const message = watchPromise(client.message(OTHER, "later"));
  client.disconnect();
  assert.equal(client.state, "closed");
  assert.equal(page.listeners.size, 0);
  assert.equal(sockets[0].closedWith.code, 1000);
  await tick(3_600_000);
  assert.equal(sockets.length, 1);
  client.connect();
  socket().ready();
  assert.equal(socket().of("message").length, 1);
  assert.equal(message.state, "pending");
});

test("close rejects what is still unanswered", async () => {
  const { client } = connected();
  const [message, room] = [watchPromise(client.message(OTHER, "hello")), watchPromise(client.join("public:lobby"))];
  client.close();
  await settle();
  assert.deepEqual([message.value.code, room.value.code], ["closed", "closed"]);
  assert.equal(client.pending, 0);
});

test("late callbacks of an old socket change nothing", async () => {
  const { client, sockets, socket, of } = connected();
  const { onmessage, onclose } = sockets[0];
  socket().end(1006);
  await tick(1_000);
  socket().ready();
  onmessage({ data: JSON.stringify({ type: "inbox", pos: "1", event: "x.y", data: null }) });
  onclose({ code: 4503, reason: "" });
  assert.equal(client.state, "ready");
  assert.deepEqual(of("inbox"), []);
});

test("a server that never answers the auth frame is given up", async () => {
  const { client, sockets, socket } = setUp();
  client.connect();
  socket().open();
  await tick(15_000);
  assert.equal(client.state, "waiting");
  assert.ok(sockets[0].closedWith);
});

test("every attempt asks for a fresh token and a failing token function is a failed attempt", async () => {
  const tokens = ["one", "two"];
  const { client, socket, of } = setUp({
    token: async () => {
      if (!tokens.length) throw new Error("401");
      return tokens.shift();
    },
  });
  client.connect();
  await settle();
  socket().ready();
  assert.equal(socket().auth.token, "one");
  for (const expected of ["two", "two"]) {
    socket().end(1006);
    await tick(30_000);
    socket().open();
    if (tokens.length === 0 && of("error").length === 0) assert.equal(socket().auth.token, expected);
  }
  await settle();
  assert.equal(client.state, "waiting");
  assert.equal(of("error")[0].code, "token");
});

test("a refused auth waits for the server's verdict and otherwise counts as 4401", async () => {
  const refused = setUp({ token: "stale" });
  refused.client.connect();
  refused.socket().open();
  refused.socket().serve({ type: "error", id: refused.socket().auth.id, code: "bad_token", message: "no", retry_after: 0 });
  refused.socket().end(4500, "bad token");
  assert.equal(refused.client.state, "closed");

  const expired = setUp();
  expired.client.connect();
  expired.socket().open();
  expired.socket().serve({ type: "error", id: expired.socket().auth.id, code: "unauthorized", message: "sign in", retry_after: 0 });
  await tick(1_000);
  assert.equal(expired.client.state, "waiting");
  assert.deepEqual(expired.of("unauthenticated"), [{ code: 4401, reason: "sign in" }]);
});

test("a token beside a valid cookie gives way to the cookie", () => {
  const { client, socket } = setUp({ token: "mine" });
  client.connect();
  socket().open();
  const [first] = socket().of("auth");
  socket().serve({ type: "error", id: first.id, code: "already_authenticated", message: "", retry_after: 0 });
  const [, second] = socket().of("auth");
  assert.deepEqual([first.token, second.token], ["mine", undefined]);
  socket().answer();
  assert.equal(client.state, "ready");
});

test("somebody else's session closes the client before anything is sent in their name", async () => {
  const { client, sockets, socket, of } = connected({ user: USER });
  const message = watchPromise(client.message(OTHER, "mine"));
  socket().end(1006);
  await tick(1_000);
  socket().ready({ user: OTHER });
  await settle();
  assert.deepEqual(of("userchanged"), [{ expected: USER, actual: OTHER }]);
  assert.equal(client.state, "closed");
  assert.equal(message.value.code, "user_changed");
  assert.deepEqual(socket().sent.map((f) => f.type), ["auth"]);
  await tick(3_600_000);
  assert.equal(sockets.length, 2);
});
