/** What screen readers read out. */

import { byId } from "./elements.js";

const MAX_ANNOUNCEMENTS = 3;

/** Tell people who cannot see the picture. @param {string} sentence */
export function announce(sentence) {
  const region = byId("announcements");
  const line = document.createElement("p");
  line.textContent = sentence;
  region.append(line);
  while (region.children.length > MAX_ANNOUNCEMENTS) region.firstElementChild?.remove();
}
