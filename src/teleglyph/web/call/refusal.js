/** Why there is no connection, for people. */

export const LOST = "The connection was lost. Try again.";

/** Why the server did not take a connection, in a sentence. */
export async function whyNot() {
  try {
    const answer = await fetch("/call", { headers: { Accept: "application/json" }, cache: "no-store" });
    if (answer.status !== 426) {
      const { error } = await answer.json();
      if (typeof error === "string") return error;
    }
    return LOST;
  } catch {
    return "The server does not answer. Check your network, then try again.";
  }
}
