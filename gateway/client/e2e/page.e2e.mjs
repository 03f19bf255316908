/**
 * The demo page in a real browser, against a running platform: presence, typing, and above all what the inbox
 * promises: go offline, be sent messages meanwhile, come back, see them once and in order.
 *
 *   BASE_URL  default http://127.0.0.1:8001 (a development server: it offers the demo accounts)
 *   MAILS     the server's `$DATA_DIR/mail`; without it, nobody can finish a registration and that test is skipped
 *   SHOTS     a folder for screenshots; none are taken without it
 *   CHROMIUM  default /usr/bin/chromium
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { cuttableNetwork } from "./network.mjs";

const BASE = process.env.BASE_URL ?? "http://127.0.0.1:8001";
const { MAILS, SHOTS } = process.env;
const RUN = Date.now().toString(36); // makes texts unique: the store remembers earlier runs
const DEADLINE = 15_000;

let browser;
let network;
let creator;
let investor;
let conversation;
const complaints = [];

before(async () => {
  network = await cuttableNetwork();
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });
});
after(async () => {
  await browser?.close();
  network?.close();
});

/** A page of its own browser profile; whatever it complains about fails the test at the end. */
async function visit(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE);
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // The first look for a session is answered with 401, and the test itself cuts the network, which has many names:
    // SOCKET_NOT_CONNECTED is a connection that was cut between being opened and being used.
    const expected = /status of 401|ERR_(PROXY_CONNECTION_FAILED|TUNNEL_CONNECTION_FAILED|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED|CONNECTION_\w+)/.test(message.text());
    if (message.type() === "error" && !expected) complaints.push(message.text());
  });
  await page.goto(BASE);
  return page;
}

async function signIn(page, portal) {
  await page.locator("#demo-accounts li").filter({ has: page.locator("button:only-child") }).getByRole("button", { name: new RegExp(`, ${portal}$`) }).first().click();
  await page.locator('#slate[data-state="ready"]').waitFor();
}

/** A REST call with the page's own session. */
const rest = (page, method, path, body, headers = {}) =>
  page.evaluate(
    async ([method, path, body, headers]) => {
      const init = { method, headers: { "content-type": "application/json", ...headers }, body: body && JSON.stringify(body) };
      const response = await fetch(path, init);
      const envelope = await response.json();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(envelope)}`);
      return envelope.data;
    },
    [method, path, body, headers],
  );

const say = (page, body) =>
  rest(page, "POST", `/api/conversations/${conversation}/messages`, { body }, { "idempotency-key": crypto.randomUUID() });
const bodies = (page, mark) => page.locator("#messages .bubble").filter({ hasText: mark }).allTextContents();
const until = async (what, check) => {
  const end = Date.now() + DEADLINE;
  for (;;) {
    const seen = await check();
    if (seen) return seen;
    if (Date.now() > end) assert.fail(`waited for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50)); // polls a real browser until the deadline
  }
};
async function shoot(page, name) {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: `${SHOTS}/${name}.png` });
}

test("the entrance offers the demo accounts and its first tab stop skips to the content", async () => {
  creator = await visit({ proxy: network.proxy });
  await creator.locator("#demo-accounts li").first().waitFor();
  await creator.keyboard.press("Tab");
  assert.equal(await creator.evaluate(() => document.activeElement.textContent), "Skip to the content");
  await shoot(creator, "entrance-light");
});

test("one click signs in a demo account, and the catalogue and the connection appear", async () => {
  await signIn(creator, "creator");
  await creator.locator("#pitches li").first().waitFor();
  assert.match(await creator.locator("#slate-node").textContent(), /\w/);
  investor = await visit({ colorScheme: "dark" });
  await signIn(investor, "investor");
});

test("people one shares a conversation with are seen coming online", async () => {
  const { user } = await rest(creator, "GET", "/api/auth/session");
  const { user: other } = await rest(investor, "GET", "/api/auth/session");
  ({ conversation: { id: conversation } } = await rest(investor, "POST", "/api/conversations", { participantId: user.id }));
  await say(investor, `${RUN} hello`);
  await creator.locator(`#people [data-user="${other.id}"][data-status="online"]`).waitFor();
  for (const page of [creator, investor]) {
    await page.locator(`[data-conversation="${conversation}"]`).click();
    await until("the first message", async () => (await bodies(page, `${RUN} hello`)).length === 1);
  }
});

test("typing is seen on the other side and ends with the message", async () => {
  await investor.locator("#body").pressSequentially(`${RUN} typed`);
  await until("the typing line", async () => /typing/.test(await creator.locator("#typing").textContent()));
  await shoot(creator, "typing-light");
  await investor.keyboard.press("Enter");
  await until("the typed message", async () => (await bodies(creator, `${RUN} typed`)).length === 1);
  assert.equal(await creator.locator("#typing").textContent(), "");
  await investor.locator("#messages .mine").filter({ hasText: `${RUN} typed` }).locator(".status", { hasText: "Sent" }).waitFor();
});

test("messages sent while offline arrive once and in order on the way back", async () => {
  await creator.locator("#online").click();
  await creator.locator('#slate[data-state="offline"]').waitFor();
  const missed = Array.from({ length: 6 }, (_, i) => `${RUN} missed ${i}`);
  for (const body of missed) await say(investor, body);
  await creator.locator("#body").fill(`${RUN} written offline`);
  await creator.locator("#body").press("Enter");
  await creator.locator(".status", { hasText: "Waiting for the connection" }).waitFor();
  assert.deepEqual(await bodies(creator, `${RUN} missed`), []);
  await shoot(creator, "offline-light");

  await creator.locator("#online").click();
  await until("what was missed", async () => (await bodies(creator, `${RUN} missed`)).length >= missed.length);
  await creator.locator("#messages .mine").filter({ hasText: `${RUN} written offline` }).locator(".status", { hasText: "Sent" }).waitFor();
  assert.deepEqual(await bodies(creator, `${RUN} missed`), missed);
  assert.ok(Number(await creator.locator("#slate-replayed").textContent()) >= missed.length);
  await until("the message written offline", async () => (await bodies(investor, `${RUN} written offline`)).length >= 1);
  assert.equal((await bodies(investor, `${RUN} written offline`)).length, 1);
  await shoot(creator, "caught-up-light");
  await shoot(investor, "desk-dark");
});

test("a cut network is waited out, and what was sent meanwhile arrives once and in order", async () => {
  network.cut();
  await creator.locator('#slate[data-state="waiting"]').waitFor();
  assert.match(await creator.locator("#slate-state").textContent(), /reconnecting/i);
  const lost = Array.from({ length: 4 }, (_, i) => `${RUN} lost ${i}`);
  for (const body of lost) await say(investor, body);
  await until("a second attempt", async () => Number(await creator.locator("#slate-attempt").textContent()) >= 2);
  await shoot(creator, "reconnecting-light");
  network.restore();
  await until("what was lost", async () => (await bodies(creator, `${RUN} lost`)).length >= lost.length);
  assert.deepEqual(await bodies(creator, `${RUN} lost`), lost);
  await creator.locator('#slate[data-state="ready"]').waitFor();
});

test("markup in a message is shown and not run", async () => {
  const markup = `${RUN} <img src=x onerror="document.title='run'"><script>document.title='run'</script>`;
  await say(investor, markup);
  await until("the markup as text", async () => (await bodies(creator, `${RUN} <img`))[0] === markup);
  assert.equal(await creator.locator("#desk img, #desk script").count(), 0);
  assert.doesNotMatch(await creator.title(), /run/);
});

test("what was acknowledged is not delivered again after a reload", async () => {
  const before = await creator.locator("#slate-position").textContent();
  await until("the ack and the stored position", () =>
    creator.evaluate((pos) => Object.entries(localStorage).some(([key, value]) => key.startsWith("pitchey.inbox.") && value === pos), before),
  );
  await creator.reload();
  await creator.locator('#slate[data-state="ready"]').waitFor();
  await until("the end of the replay", async () => /\d/.test(await creator.locator("#slate-replayed").textContent()));
  assert.equal(await creator.locator("#slate-replayed").textContent(), "0");
  assert.equal(await creator.locator("#slate-position").textContent(), before);
});

test("a second tab sees the same live entries as the first", async () => {
  const second = await creator.context().newPage();
  second.setDefaultTimeout(DEADLINE);
  await second.goto(BASE);
  await second.locator('#slate[data-state="ready"]').waitFor();
  for (const page of [creator, second]) await page.locator(`[data-conversation="${conversation}"]`).click();
  await say(investor, `${RUN} both tabs`);
  for (const page of [creator, second]) {
    await until("the entry in each tab", async () => (await bodies(page, `${RUN} both tabs`)).length === 1);
    assert.equal(await page.locator("#reel li", { hasText: `${RUN} both tabs` }).filter({ hasText: "message.created" }).count(), 1);
  }
  await second.close();
});

test("a pitch that is published notifies its creator's followers live, and reading it takes it away", async () => {
  const text = { title: `${RUN} first light`, logline: "A test that became a film.", genre: "Drama", format: "short" };
  const { user } = await rest(creator, "GET", "/api/auth/session");
  await rest(investor, "PUT", `/api/users/${user.id}/follow`);
  const { id } = await rest(creator, "POST", "/api/pitches", text);
  await rest(creator, "POST", `/api/pitches/${id}/publish`);
  const item = investor.locator("#notifications li", { hasText: text.title });
  await item.waitFor();
  const unread = async () => ((await investor.locator("#unread").isHidden()) ? 0 : Number(await investor.locator("#unread").textContent()));
  const count = await unread();
  await item.getByRole("button", { name: /^Mark read/ }).click();
  await item.waitFor({ state: "detached" });
  await until("one fewer", async () => (await unread()) === count - 1);
  const { unreadCount } = await rest(investor, "GET", "/api/notifications?unread=true&limit=1");
  assert.equal(unreadCount, count - 1);
});

test("a genre filters the catalogue and a pitch opens and closes by keyboard", async () => {
  await creator.locator('#genres [data-genre="Drama"]').click();
  await until("only drama", async () => {
    const genres = await creator.locator("#pitches li").evaluateAll((cards) => cards.map((card) => card.dataset.genre));
    return genres.length > 0 && genres.every((genre) => genre === "drama");
  });
  await creator.locator("#pitches h3 button").first().press("Enter");
  await creator.locator("#pitch[open]").waitFor();
  await shoot(creator, "pitch-light");
  await creator.keyboard.press("Escape");
  await creator.locator("#pitch[open]").waitFor({ state: "detached" });
});

test("the page fits 360 pixels in every view, in the light and in the dark", async () => {
  await creator.locator('#market-lists [data-list="featured"]').click();
  await creator.setViewportSize({ width: 360, height: 740 });
  for (const colorScheme of ["light", "dark"]) {
    await creator.emulateMedia({ colorScheme });
    for (const view of ["market", "talk", "activity"]) {
      await creator.locator(`[data-show="${view}"]`).click();
      const [content, window] = await creator.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(content <= window, `${view} is ${content} wide`);
      await shoot(creator, `narrow-${view}-${colorScheme}`);
    }
  }
});

test("signing out returns to the entrance and ends the session everywhere", async () => {
  await creator.locator("#sign-out").click();
  await creator.locator("#signin:not([hidden])").waitFor();
  assert.equal(await creator.evaluate(async () => (await fetch("/api/auth/session")).status), 401);
  await shoot(creator, "narrow-entrance-dark");
});

test("a mail's link asks for the password, keeps its token out of the address and says when it is worth nothing", async () => {
  const page = await (await browser.newContext()).newPage(); // a refused token is an error in the console
  page.setDefaultTimeout(DEADLINE);
  await page.goto(`${BASE}/api/auth/verify-email?token=made-up`);
  await page.locator("#proof-form:not([hidden])").waitFor();
  assert.equal(await page.evaluate(() => location.href), `${BASE}/`);
  await page.getByLabel("The password you chose").fill("whatever it was");
  await page.getByRole("button", { name: "Verify my address" }).click();
  await page.locator("#proof-problem", { hasText: "not valid any more" }).waitFor();
  await shoot(page, "proof-light");
  await page.context().close();
});

test("a registration is finished with the mail's link and the password, and then signs in", { skip: !MAILS }, async () => {
  const email = `${RUN}@e2e.pitchey.test`;
  const password = `${RUN} and then some more`;
  await rest(investor, "POST", "/api/auth/register", { email, password, name: "Reel Person", portal: "investor" });
  const links = () =>
    (existsSync(MAILS) ? readdirSync(MAILS) : [])
      .map((name) => readFileSync(`${MAILS}/${name}`, "utf8"))
      .filter((mail) => mail.includes(`To: ${email}`))
      .flatMap((mail) => mail.match(/\S+verify-email\?token=\S+/) ?? []);
  const [link] = await until("the mail", async () => links().length === 1 && links());
  await fetch(link, { redirect: "manual" }); // a scanner looks first, and changes nothing
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(DEADLINE);
  await page.goto(link);
  await page.getByLabel("The password you chose").fill(password);
  await page.getByRole("button", { name: "Verify my address" }).click();
  await page.locator("#signin-notice", { hasText: "Your address is verified" }).waitFor();
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("radio", { name: "Investor" }).check();
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.locator('#slate[data-state="ready"]').waitFor();
  await page.context().close();
});

test("nothing was logged as an error, by scripts or by the content security policy", () => {
  assert.deepEqual(complaints, []);
});
