/** The entrance: one click per demo account (development only), or e-mail, password and portal; and a mail's link. */
import * as api from "./api.js";
import { $, el, label } from "./dom.js";
import { askForProof } from "./proof.js";

/** Shows the entrance; returns what hides it again. */
export function openEntrance({ notice, proof, onSession, onProven }) {
  const gone = new AbortController();
  const form = $("signin-form");
  const problem = $("signin-problem");
  const section = $("signin");
  section.hidden = false;
  $("signin-notice").hidden = notice === "";
  $("signin-notice").textContent = notice;
  document.title = "Pitchey – sign in";

  const enter = async (portal, email, password) => {
    problem.textContent = "";
    section.setAttribute("aria-busy", "true");
    try {
      onSession(await api.login(portal, email, password));
    } catch (error) {
      problem.textContent = error.message;
    } finally {
      section.removeAttribute("aria-busy");
    }
  };

  form.addEventListener(
    "submit",
    (event) => {
      event.preventDefault();
      const { email, password, portal } = Object.fromEntries(new FormData(form));
      if (email && password) enter(portal, email, password);
      else problem.textContent = "Both the e-mail and the password are needed.";
    },
    { signal: gone.signal },
  );
  if (proof !== null) askForProof(proof, { onDone: onProven, signal: gone.signal });
  showDemoAccounts(enter, gone.signal);

  return () => {
    gone.abort();
    form.reset();
    problem.textContent = "";
    section.hidden = true;
  };
}

/** Outside development the call does not exist: the list simply stays away. */
async function showDemoAccounts(enter, signal) {
  const { accounts = [] } = await api.demoAccounts().catch(() => ({}));
  if (signal.aborted) return;
  $("demo").hidden = accounts.length === 0;
  $("demo-accounts").replaceChildren(
    ...accounts.map(({ email, password, name, portal, portals = [portal] }) =>
      el(
        "li",
        { class: "card" },
        el("div", {}, el("p", { class: "name" }, name), el("p", { class: "hint" }, email)),
        el(
          "div",
          { class: "doors" },
          ...portals.map((door) =>
            el(
              "button",
              { type: "button", "aria-label": `Enter as ${name}, ${door}`, onclick: () => enter(door, email, password) },
              label(door),
            ),
          ),
        ),
      ),
    ),
  );
}
