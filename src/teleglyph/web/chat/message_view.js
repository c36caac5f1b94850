/** One message on the page. */

import { element } from "../ui/elements.js";
import { splitLinks } from "./links.js";
import { beginning, cleanText } from "./text.js";

/**
 * @typedef {import("./message_list.js").ChatMessage} ChatMessage
 * @typedef {import("./room_chat.js").RoomChat} RoomChat
 */

/** What is shown of a long message at first. */
const MAX_CHARACTERS = 4000;
const MAX_LINES = 60;
const QUOTE_CHARACTERS = 80;

/** The element of a message. Only texts, never markup, come from the message. */
export class MessageView {
  #message;
  #chat;
  #head = element("div", "chat-head");
  #quote = element("div", "chat-quote");
  #status = element("div", "chat-status");
  #shown = "";

  /**
   * @param {ChatMessage} message
   * @param {RoomChat} chat
   */
  constructor(message, chat) {
    this.#message = message;
    this.#chat = chat;
    const body = element("bdi", "chat-text");
    fillBody(body, cleanText(message.text).trim());
    this.element = element("div", "chat-message", this.#head, this.#quote, body, this.#status);
    this.element.classList.toggle("own", message.isOwn);
    this.element.style.setProperty("--hue", `${parseInt(message.author.slice(0, 4), 16) % 360}`);
  }

  /**
   * Show the sender, the time and the delivery as they are now.
   *
   * @param {boolean} isContinuation the sender and the time are those of the message above
   */
  update(isContinuation) {
    const { author, at, isOwn, state, reason } = this.#message;
    const [name, time] = [this.#chat.nameOf(author), formatTime(at)];
    const quoted = this.#quoted();
    const shown = JSON.stringify([name, time, quoted, state, reason, isContinuation]);
    if (shown === this.#shown) return;
    this.#shown = shown;

    const clock = element("time", "", time);
    clock.dateTime = new Date(at * 1000).toISOString();
    this.#head.replaceChildren(element("bdi", "chat-name", name), isOwn ? " (you) " : " ", clock);
    this.#head.hidden = isContinuation;
    this.#quote.hidden = !quoted;
    if (quoted) {
      const [to, text] = [element("bdi", "", quoted.name), element("bdi", "", quoted.text)];
      this.#quote.replaceChildren("Reply to ", to, ": ", text);
    }
    this.element.classList.toggle("sending", state === "sending");
    this.#status.replaceChildren(...this.#delivery());
    this.#status.hidden = state === "sent";
  }

  #delivery() {
    const { id, state, reason } = this.#message;
    if (state === "sending") return ["Sending …"];
    if (state === "sent") return [];
    const retry = element("button", "", "Try again");
    retry.type = "button";
    retry.onclick = () => {
      this.element.parentElement?.focus(); // The button disappears, and the focus should not.
      this.#chat.retry(id);
    };
    return [element("bdi", "", `Not sent. ${cleanText(reason)}`), " ", retry];
  }

  /** The beginning of the message that this one answers, if we have it. */
  #quoted() {
    const answered = this.#chat.message(this.#message.replyTo);
    if (!answered) return null;
    const text = beginning(cleanText(answered.text.slice(0, 2 * QUOTE_CHARACTERS)).trim(), QUOTE_CHARACTERS);
    return { name: this.#chat.nameOf(answered.author), text };
  }
}

/**
 * @param {HTMLElement} body
 * @param {string} text
 */
function fillBody(body, text) {
  const short = beginning(text.split("\n", MAX_LINES).join("\n"), MAX_CHARACTERS);
  if (short.length === text.length) {
    body.replaceChildren(...linked(text));
    return;
  }
  const more = element("button", "chat-more");
  more.type = "button";
  const show = (/** @type {boolean} */ isWhole) => {
    more.textContent = isWhole ? "Show less" : `Show all ${text.length.toLocaleString()} characters`;
    more.ariaExpanded = String(isWhole);
    more.onclick = () => show(!isWhole);
    const content = element("span", "", ...linked(isWhole ? text : `${short} …`));
    if (body.firstChild) body.firstChild.replaceWith(content);
    else body.append(content, more);
  };
  show(false);
}

/** @param {string} text */
function linked(text) {
  return splitLinks(text).map(({ text: part, href }) => {
    if (!href) return part;
    const link = element("a", "", part);
    link.href = href;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    link.dir = "ltr";
    return link;
  });
}

/** @param {number} at Unix seconds */
function formatTime(at) {
  const date = new Date(at * 1000);
  return date.toDateString() === new Date().toDateString()
    ? date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
    : date.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
