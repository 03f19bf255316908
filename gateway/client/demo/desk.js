/**
 * The desk of somebody who is signed in: makes the client, hands it to every panel, and takes all of it down again.
 * A panel is a function of the same context; it listens to the client and to REST, never to another panel's DOM.
 */
import { PitcheyClient } from "../pitchey.js";
import * as api from "./api.js";
import { mountCatalogue } from "./catalogue.js";
import { Conversations } from "./conversations.js";
import { $, badge, el, label } from "./dom.js";
import { mountNotifications } from "./notifications.js";
import { mountPeople } from "./people.js";
import { mountReel } from "./reel.js";
import { mountSlate } from "./slate.js";
import { mountThread } from "./thread.js";

/**
 * Shows the desk; returns what takes it away. `onEnd(notice)` is called when the session is over, `onChange()` when
 * it is somebody else's now.
 */
export function openDesk({ user, onEnd, onChange }) {
  const gone = new AbortController();
  const client = new PitcheyClient({ user: user.id });
  const context = { client, user, signal: gone.signal, show, count: counters() };
  $("desk").hidden = $("account").hidden = false;
  document.title = "Pitchey";

  const conversations = new Conversations(context);
  mountSlate(context);
  mountReel(context);
  mountThread(context, conversations);
  mountPeople(context, conversations);
  mountNotifications(context);
  mountCatalogue(context, conversations);
  mountAccount(context, onEnd);
  $("views").addEventListener("click", (event) => show(event.target.closest("button")?.dataset.show), { signal: gone.signal });

  client.on("unauthenticated", () => endIfSignedOut(onEnd));
  client.on("userchanged", onChange);
  client.on("state", ({ state, code }) => {
    if (state === "closed" && code >= 4500) onEnd("You were signed out.");
  });
  client.on("error", (error) => console.warn("pitchey:", error.code, error.message, error.cause ?? ""));
  conversations.load();
  client.connect();
  $("desk-title").focus({ preventScroll: true });

  return () => {
    gone.abort();
    client.close();
    $("desk").hidden = $("account").hidden = true;
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  };
}

/** The gateway does not know us: ask the api, whose word on the cookie is final. */
async function endIfSignedOut(onEnd) {
  await api.session().catch((error) => error.status === 401 && onEnd("Your session has ended. Please sign in again."));
}

/** On narrow screens one panel is visible at a time. */
function show(view) {
  if (!view) return;
  $("desk").dataset.view = view;
  for (const button of $("views").querySelectorAll("button")) {
    if (button.dataset.show === view) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
}

/** Unread counts of all panels, on the tabs and in the title. */
function counters() {
  const counts = { talk: 0, activity: 0 };
  return (name, value) => {
    counts[name] = value;
    badge($(`${name}-badge`), value);
    const all = counts.talk + counts.activity;
    document.title = all ? `(${all}) Pitchey` : "Pitchey";
  };
}

function mountAccount({ user, client, signal }, onEnd) {
  const { portals = [user.portal] } = user;
  $("account-name").textContent = user.name;
  $("account-portal").textContent = label(user.portal);
  $("account-portal").hidden = portals.length > 1;
  $("portal-field").hidden = portals.length < 2;
  $("portal").replaceChildren(...portals.map((portal) => el("option", { value: portal }, label(portal))));
  $("portal").value = user.portal;
  $("portal").addEventListener(
    "change",
    async () => {
      try {
        await api.switchPortal($("portal").value); // the session, and so the socket, stays the same
        user.portal = $("portal").value;
      } catch (error) {
        $("portal").value = user.portal;
        console.warn(error.message);
      }
    },
    { signal },
  );
  $("sign-out").addEventListener(
    "click",
    async () => {
      client.close(); // before the server closes it: leaving is no failure
      const failed = await api.logout().then(() => null, (error) => error);
      onEnd(failed && failed.status !== 401 ? `Signing out failed: ${failed.message}` : "");
    },
    { signal },
  );
}
