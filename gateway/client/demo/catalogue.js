/** The catalogue: featured, trending and new pitches, or one genre of all of them; and one pitch in a dialog. */
import * as api from "./api.js";
import { $, budget, el, label } from "./dom.js";

export function mountCatalogue({ user, signal }, conversations) {
  const view = { list: "featured", genre: "", cursor: null };
  let turn = 0; // the newest request wins, in whatever order the answers come

  async function load({ more = false } = {}) {
    const mine = ++turn;
    const status = $("market-status");
    if (!more) {
      view.cursor = null;
      status.textContent = "";
      $("pitches").setAttribute("aria-busy", "true");
    }
    try {
      const { pitches, pagination } = await api.pitches(view);
      if (mine !== turn || signal.aborted) return;
      const cards = pitches.map(card);
      more ? $("pitches").append(...cards) : $("pitches").replaceChildren(...cards);
      if (more) cards[0]?.querySelector("button")?.focus();
      view.cursor = pagination?.hasMore ? pagination.nextCursor : null;
      if (!more && pitches.length === 0) status.textContent = view.genre ? `No ${view.genre} pitches yet.` : "Nothing here yet.";
    } catch (error) {
      if (mine === turn && !signal.aborted) status.textContent = error.message;
    }
    $("pitches").removeAttribute("aria-busy");
    $("pitches-more").hidden = view.cursor === null;
  }

  function card(pitch) {
    const { title, logline, genre, format, creator, likeCount } = pitch;
    return el(
      "li",
      { class: "pitch", "data-genre": genre.toLowerCase() },
      el("p", { class: "slug" }, `${genre}${format ? ` · ${label(format)}` : ""}`),
      el("h3", {}, el("button", { type: "button", onclick: () => openPitch(pitch) }, title)),
      el("p", { class: "logline" }, logline),
      el("p", { class: "hint row" }, el("span", {}, creator.name), el("span", {}, budget(pitch.budgetMin, pitch.budgetMax)), likeCount ? el("span", { class: "likes" }, `${likeCount} likes`) : null),
    );
  }

  function openPitch(pitch) {
    const write = $("pitch-write");
    show(pitch);
    $("pitch-problem").textContent = "";
    write.hidden = pitch.creator.id === user.id;
    write.textContent = `Write to ${pitch.creator.name}`;
    write.onclick = async () => {
      try {
        await conversations.openWith(pitch.creator.id);
        $("pitch").close();
      } catch (error) {
        $("pitch-problem").textContent = error.message;
      }
    };
    $("pitch").showModal();
    // The card has all but the synopsis; if the rest cannot be had, what there is will do.
    api.pitch(pitch.id).then((full) => $("pitch").open && show({ ...pitch, ...full }), () => {});
  }

  function show({ title, logline, synopsis, genre, format, stage, budgetMin, budgetMax, seekingInvestment, creator, viewCount, likeCount }) {
    $("pitch-meta").textContent = [genre, format && label(format)].filter(Boolean).join(" · ");
    $("pitch-title").textContent = title;
    $("pitch-logline").textContent = logline;
    $("pitch-synopsis").textContent = synopsis ?? "";
    const facts = [
      ["Creator", creator.name],
      ["Budget", budget(budgetMin, budgetMax)],
      ["Stage", label(stage) || "–"],
      ["Investment", seekingInvestment ? "Sought" : "Closed"],
      ["Views", viewCount ?? 0],
      ["Likes", likeCount ?? 0],
    ];
    $("pitch-facts").replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value)))));
  }

  function press(group, attribute, value) {
    for (const button of group.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset[attribute] === value));
    }
  }

  function chooseList(list) {
    Object.assign(view, { list, genre: "" });
    press($("market-lists"), "list", list);
    press($("genres"), "genre", "");
    load();
  }

  function chooseGenre(genre) {
    view.genre = genre;
    press($("genres"), "genre", genre);
    press($("market-lists"), "list", genre ? "" : view.list); // a genre is looked for in the whole catalogue
    load();
  }

  async function showGenres() {
    const { genres } = await api.genres().catch(() => ({ genres: [] }));
    if (signal.aborted) return;
    const chip = (genre, text) =>
      el("button", { type: "button", "data-genre": genre, "aria-pressed": String(genre === view.genre), onclick: () => chooseGenre(genre) }, text);
    $("genres").replaceChildren(chip("", "Any genre"), ...genres.map((genre) => chip(genre, genre)));
  }

  $("market-lists").addEventListener("click", (event) => event.target.dataset.list && chooseList(event.target.dataset.list), { signal });
  $("pitches-more").addEventListener("click", () => load({ more: true }), { signal });
  signal.addEventListener("abort", () => $("pitches").replaceChildren());
  chooseList("featured");
  showGenres();
}
