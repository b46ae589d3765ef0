// What the page asks over HTTP, with the token where one is needed.

const TOKEN_KEY = "anima.token";

/** The token of this tab; null if there is none. */
export const token = () => sessionStorage.getItem(TOKEN_KEY);

/** Keeps the token until the tab is closed. */
export const keepToken = (value) => sessionStorage.setItem(TOKEN_KEY, value);

/** The gateway did not accept the token, or wants one. */
export class Unauthorized extends Error {}

async function get(path) {
  const headers = token() ? { authorization: `Bearer ${token()}` } : {};
  const response = await fetch(new URL(path, document.baseURI), { headers });
  if (response.status === 401) throw new Unauthorized();
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response;
}

/** What the mesh is and offers. */
export async function describeMesh() {
  return (await get("v1/mesh")).json();
}

/** The idle loop of an avatar, as an address for a <video>; it must be revoked. */
export async function idleLoop(avatar) {
  const response = await get(`v1/avatars/${encodeURIComponent(avatar)}/idle.mp4`);
  return URL.createObjectURL(await response.blob());
}
