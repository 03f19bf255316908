/** The connection, laid out like a slate: what it is doing, what it measured, and the switch that cuts it. */
import { $ } from "./dom.js";

const TEXT = {
  idle: "Not connected",
  connecting: "Connecting",
  authenticating: "Signing in to the gateway",
  ready: "Connected",
};

export function mountSlate({ client, signal }) {
  const text = $("slate-state");
  let countdown;
  let offline = false;
  let last = { state: client.state };

  function describe() {
    const { state, retryAt, reason, code } = last;
    if (offline) return "Offline by choice – your inbox keeps what arrives";
    if (state === "waiting") {
      const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
      return `${reason ? `${capital(reason)} – reconnecting` : "Reconnecting"} ${seconds ? `in ${seconds} s` : "now"}`;
    }
    if (state === "closed") return `Closed${reason ? `: ${reason}` : ""}${code ? ` (${code})` : ""}`;
    return TEXT[state];
  }

  function show() {
    text.textContent = describe();
    $("slate").dataset.state = offline ? "offline" : last.state;
    $("slate-node").textContent = last.state === "ready" ? (client.server?.node ?? "–") : "–";
    $("slate-rtt").textContent = last.state === "ready" && client.rtt !== null ? `${client.rtt} ms` : "–";
    $("slate-attempt").textContent = last.state === "ready" ? "–" : String(client.attempt || 1);
    $("slate-position").textContent = client.position ?? "–";
    $("slate-pending").textContent = String(client.pending);
  }

  client.on("state", (change) => {
    last = change;
    show();
    clearInterval(countdown);
    if (change.state === "waiting") countdown = setInterval(show, 500);
    // The seconds are for the eye; a screen reader hears each change of state once.
    const settled = ["ready", "waiting", "closed"].includes(change.state);
    if (settled) $("slate-live").textContent = change.state === "waiting" ? "Connection lost, reconnecting" : describe();
  });
  client.on("caughtup", ({ replayed }) => {
    show();
    $("slate-replayed").textContent = String(replayed);
    if (replayed) $("slate-live").textContent = `Caught up: ${replayed} ${replayed === 1 ? "entry" : "entries"} replayed in order`;
  });
  client.on("pong", show);
  client.on("inbox", () => queueMicrotask(show));
  const pending = setInterval(() => ($("slate-pending").textContent = String(client.pending)), 250);

  const setOnline = (online) => {
    offline = !online;
    $("online").setAttribute("aria-checked", String(online));
    online ? client.connect() : client.disconnect();
  };
  setOnline(true);
  $("online").addEventListener("click", () => setOnline(offline), { signal });
  signal.addEventListener("abort", () => {
    clearInterval(countdown);
    clearInterval(pending);
  });
  show();
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
