/** The demo page: shows the entrance or the desk, depending on whether there is a session. */
import * as api from "./demo/api.js";
import { openDesk } from "./demo/desk.js";
import { openEntrance } from "./demo/entrance.js";

let leave = () => {};

/** `notice` says why the visitor is at the entrance, if it was not their wish. */
function entrance(notice = "") {
  leave();
  leave = openEntrance({ notice, onSession: desk });
}

function desk({ user, session }) {
  leave();
  leave = openDesk({ user: { ...user, portal: session.portal }, onEnd: entrance, onChange: start });
}

async function start() {
  try {
    desk(await api.session());
  } catch (error) {
    entrance(error.status === 401 ? "" : error.message);
  }
}

start();
