// The page's HTTP requests, with the token if one is required.

const TOKEN_KEY = "anima.token";

/** The token of this tab; null if there is none. */
export const token = () => sessionStorage.getItem(TOKEN_KEY);

/** Stores the token until the tab is closed. */
export const keepToken = (value) => sessionStorage.setItem(TOKEN_KEY, value);

/** Forgets the token. */
export const forgetToken = () => sessionStorage.removeItem(TOKEN_KEY);

/** The gateway rejected the token, or requires one. */
export class Unauthorized extends Error {}

async function call(path, { headers = {}, ...options } = {}) {
  const all = token() ? { authorization: `Bearer ${token()}`, ...headers } : headers;
  const response = await fetch(new URL(path, document.baseURI), { ...options, headers: all });
  if (response.status === 401) throw new Unauthorized();
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Error(problem.detail ?? `${path}: ${response.status}`);
  }
  return response;
}

/** Exchanges the code of another site for the token of a session. */
export async function openSession(code) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ code });
  return (await (await call("v1/page-sessions", { method: "POST", headers, body })).json()).token;
}

/** Fetches the stages and their personas, voices and avatars. */
export async function describeMesh() {
  return (await call("v1/mesh")).json();
}

/**
 * Fetches a loop of an avatar and returns an object URL for a <video>; the caller must revoke it.
 * @param version the version of the avatar; a cached loop of another version is not used
 * @param activity "idle", "listening" or "thinking"
 */
export async function idleLoop(avatar, version, activity = "idle") {
  const query = new URLSearchParams({ activity, version });
  const response = await call(`v1/avatars/${encodeURIComponent(avatar)}/idle.mp4?${query}`);
  return URL.createObjectURL(await response.blob());
}

const asUser = (user) => ({ "anima-user-id": encodeURIComponent(user) });

/** Fetches a page of a person's memory items, newest first. */
export async function listMemory(user, pageToken = "") {
  const path = `v1/memory?page_token=${encodeURIComponent(pageToken)}`;
  return (await call(path, { headers: asUser(user) })).json();
}

/** Erases one item of a person, or everything. */
export async function forgetMemory(user, item = "") {
  const path = item ? `v1/memory/${encodeURIComponent(item)}` : "v1/memory";
  return (await call(path, { method: "DELETE", headers: asUser(user) })).json();
}

/** Exports everything that is remembered about a person as a file. */
export async function exportMemory(user) {
  return (await call("v1/memory/export", { headers: asUser(user) })).blob();
}

/** Makes an avatar from a photo. @yields {object} progress, warning, done or error */
export async function* createAvatar(form) {
  const response = await call("v1/avatars", { method: "POST", body: form });
  let left = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (left + piece).split("\n");
    left = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

/** Deletes an avatar that was made from a photo. */
export const deleteAvatar = (name) => call(`v1/avatars/${encodeURIComponent(name)}`, { method: "DELETE" });
