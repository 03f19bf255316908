/** The REST calls of this page: one function each, the envelope opened, failures as `ApiError`. */

export class ApiError extends Error {
  constructor(status, { code = "NETWORK", message = "The server cannot be reached.", details } = {}) {
    super(message);
    Object.assign(this, { name: "ApiError", status, code, details });
  }
}

async function call(method, path, body, headers = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: { accept: "application/json", ...(body && { "content-type": "application/json" }), ...headers },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(15_000),
    });
  } catch {
    throw new ApiError(0);
  }
  const envelope = await response.json().catch(() => null);
  if (!response.ok || !envelope?.success) {
    throw new ApiError(response.status, envelope?.error ?? { code: "HTTP", message: `The server answered ${response.status}.` });
  }
  return { ...envelope.data, pagination: envelope.meta?.pagination };
}

const get = (path) => call("GET", path);
const post = (path, body = {}, headers) => call("POST", path, body, headers);
const query = (fields) => {
  const set = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return set.length ? `?${new URLSearchParams(set)}` : "";
};

export const demoAccounts = () => get("/api/demo/accounts");
export const login = (portal, email, password) => post(`/api/auth/${portal}/login`, { email, password });
export const verifyEmail = (token, password) => post("/api/auth/verify-email", { token, password });
export const logout = () => post("/api/auth/logout");
export const session = () => get("/api/auth/session");
export const switchPortal = (portal) => post("/api/auth/portal", { portal });

export const genres = () => get("/api/genres");
/** `list` is featured, trending or new; with a genre the whole catalogue is asked. */
export const pitches = ({ list, genre, cursor, limit = 24 }) =>
  genre ? get(`/api/pitches${query({ genre, cursor, limit })}`) : get(`/api/pitches/${list}${query({ cursor, limit })}`);
export const pitch = (id) => get(`/api/pitches/${id}`);

export const unread = () => get("/api/notifications?limit=30&unread=true");
export const markRead = (ids) => post("/api/notifications/mark-read", { ids });
export const markAllRead = () => post("/api/notifications/mark-read", { all: true });

export const conversations = () => get("/api/conversations");
export const openConversation = (participantId) => post("/api/conversations", { participantId });
export const messages = (id, cursor) => get(`/api/conversations/${id}/messages${query({ limit: 30, cursor })}`);
