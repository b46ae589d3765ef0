// A person of another site arrives with a code in the fragment of the address, which is exchanged for
// a session. The site's server made the code with the person's token, so no token is in an address.

import { forgetToken, keepToken, openSession } from "./api.js";

const codeIn = (fragment) => new URLSearchParams(fragment.slice(1)).get("code") ?? "";

/** Takes the code out of the address and out of the history of this tab; empty if there is none. */
export function takeCode() {
  const code = codeIn(location.hash);
  if (code) history.replaceState(history.state, "", location.pathname + location.search);
  return code;
}

/** Opens the session of a code. Throws if the code is not accepted; nobody is signed in then. */
export async function arrive(code) {
  forgetToken(); // a code that fails must not leave the person before it signed in
  keepToken(await openSession(code));
}

// The site has sent another code to a page that is open: it begins again, as that person.
addEventListener("hashchange", () => codeIn(location.hash) && location.reload());
