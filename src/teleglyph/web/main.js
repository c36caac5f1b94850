/** Starts the page. */

import { App } from "./app.js";
import { mediaSupport } from "./media/media_support.js";

/** The page that is running; tools and tests look into it. */
export const app = new App(await mediaSupport());
// It waits for the user's permission to use the camera, and nobody should wait for that.
void app.start();
