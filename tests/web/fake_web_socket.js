/** A WebSocket without a network: the test is the server. */
export class FakeWebSocket {
  /** @type {FakeWebSocket[]} all that were made */
  static made = [];
  readyState = 0;
  /** @type {any[]} messages from the page that nobody has read yet */
  received = [];

  /** @param {string} url */
  constructor(url) {
    this.url = url;
    FakeWebSocket.made.push(this);
  }

  static get last() {
    return FakeWebSocket.made[FakeWebSocket.made.length - 1];
  }

  /** @param {string} text */
  send(text) {
    this.received.push(JSON.parse(text));
  }

  close() {
    this.readyState = 3;
  }

  // --- what the server does ---

  accept() {
    this.readyState = 1;
    this.onopen();
    this.say("AUTH", "challenge");
  }

  /** @param {...unknown} message */
  say(...message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  /** @param {unknown} data */
  sayRaw(data) {
    this.onmessage({ data });
  }

  lose() {
    this.readyState = 3;
    this.onclose();
  }

  /** Take the messages of a verb from what the page has sent. */
  take(verb) {
    return this.takeIf((message) => message[0] === verb);
  }

  /** @param {(message: any[]) => boolean} condition */
  takeIf(condition) {
    const taken = this.received.filter(condition);
    this.received = this.received.filter((message) => !condition(message));
    return taken;
  }
}

/** Let promises settle. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));
