/** The demo page: shows the entrance or the desk, depending on whether there is a session. */
import * as api from "./demo/api.js";
import { openDesk } from "./demo/desk.js";
import { openEntrance } from "./demo/entrance.js";
import { takeToken } from "./demo/proof.js";

let leave = () => {};

/** `notice` says why the visitor is at the entrance, if it was not their wish; `proof` is the token of a mail. */
function entrance(notice = "", proof = null) {
  leave();
  leave = openEntrance({ notice, proof, onSession: desk, onProven: () => entrance("Your address is verified. Sign in.") });
}

function desk({ user, session }) {
  leave();
  leave = openDesk({ user: { ...user, portal: session.portal }, onEnd: entrance, onChange: start });
}

async function start() {
  const proof = takeToken();
  if (proof !== null) return entrance("", proof);
  try {
    desk(await api.session());
  } catch (error) {
    entrance(error.status === 401 ? "" : error.message);
  }
}

start();
