/** Answers a number of milliseconds with a message at each such interval. Timers of workers run in the background. */

onmessage = ({ data }) => setInterval(() => postMessage(0), data);
