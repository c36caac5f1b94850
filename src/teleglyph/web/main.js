/** Starts the page. */

import { App } from "./app.js";
import { mediaSupport } from "./media/media_support.js";

await new App(await mediaSupport()).start();
