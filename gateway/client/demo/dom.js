/**
 * The little that the page needs of a DOM library. Text only ever enters as text nodes, never as markup: a name or a
 * message with a `<script>` in it is shown, not run.
 */

export const $ = (id) => document.getElementById(id);

/** `el("p", { class: "hint", onclick }, "text", child)`; properties that are null or false are left out. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Says something to a screen reader without showing it. */
export function announce(text) {
  $("announcer").textContent = text;
}

export function badge(node, count) {
  node.hidden = count === 0;
  node.textContent = count > 99 ? "99+" : String(count);
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const LONG_DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export const longDay = (iso) => LONG_DAY.format(new Date(iso));

/** "14:20" today, "21 Nov" on any other day. */
export function time(iso) {
  const at = new Date(iso);
  const today = at.toDateString() === new Date().toDateString();
  return el("time", { datetime: iso }, (today ? CLOCK : DAY).format(at));
}

export const clock = (iso) => el("time", { datetime: iso }, CLOCK.format(new Date(iso)));

const MONEY = new Intl.NumberFormat("en", { style: "currency", currency: "USD", notation: "compact", maximumFractionDigits: 1 });

export function budget(min, max) {
  const known = [min, max].filter((amount) => Number.isFinite(amount));
  if (known.length === 0) return "Budget open";
  if (known.length === 1 || min === max) return MONEY.format(known[0]);
  return `${MONEY.format(min)} – ${MONEY.format(max)}`;
}

/** "sci_fi short" → "Sci fi short". */
export function label(text) {
  const plain = String(text ?? "").replaceAll("_", " ");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}
