/**
 * The end of a registration: the mail's link leads here with its token in the fragment (`#verify=…`), and the password
 * redeems it. A link that did so by being opened would be redeemed by the first mail scanner that looks at it.
 */
import * as api from "./api.js";
import { $ } from "./dom.js";

const PREFIX = "#verify=";

/** The token the address bar brought, taken out of it; `null` if it brought none. */
export function takeToken() {
  if (!location.hash.startsWith(PREFIX)) return null;
  const token = location.hash.slice(PREFIX.length);
  history.replaceState(null, "", location.pathname + location.search);
  return token;
}

/** Asks for the password; `onDone` hears that the address is proven. */
export function askForProof(token, { onDone, signal }) {
  const form = $("proof-form");
  const problem = $("proof-problem");
  form.hidden = false;
  form.elements.password.focus();
  signal.addEventListener("abort", () => {
    form.reset();
    form.hidden = true;
    problem.textContent = "";
  });
  form.addEventListener(
    "submit",
    async (event) => {
      event.preventDefault();
      const { password } = Object.fromEntries(new FormData(form));
      problem.textContent = password ? "" : "The password is needed.";
      if (!password) return;
      form.setAttribute("aria-busy", "true");
      try {
        await api.verifyEmail(token, password);
        onDone();
      } catch (error) {
        problem.textContent = explain(error);
      } finally {
        form.removeAttribute("aria-busy");
      }
    },
    { signal },
  );
}

function explain({ message, details = [] }) {
  const [first] = Array.isArray(details) ? details : [];
  if (first?.field === "token") return "This link is not valid any more. Register again, or ask for another mail.";
  if (first?.field === "password") return "That is not the password of this registration. If there is a second mail, try its link.";
  return message;
}
