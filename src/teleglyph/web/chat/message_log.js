/** The scrolling list of messages. */

import { element } from "../ui/elements.js";
import { MessageView } from "./message_view.js";

/** @typedef {import("./room_chat.js").RoomChat} RoomChat */

/** Messages of one sender within this many seconds are a group. */
const GROUP_SECONDS = 300;
/** Pixels from the end that still count as the end. */
const NEAR_END = 24;

/** Shows the messages of a chat. It stays at the end while it is there, and otherwise where the reader is. */
export class MessageLog {
  #chat;
  #onMove;
  #isAtEnd = true;
  /** @type {Map<string, MessageView>} */
  #views = new Map();
  #resizes = new ResizeObserver(() => {
    if (this.#isAtEnd) this.scrollToEnd();
    this.#onMove();
  });

  /**
   * @param {RoomChat} chat
   * @param {() => void} onMove the reader has scrolled, or the list has another size
   */
  constructor(chat, onMove) {
    this.#chat = chat;
    this.#onMove = onMove;
    this.element = element("div", "chat-log");
    this.element.role = "log";
    this.element.ariaLive = "polite";
    this.element.ariaLabel = "Messages";
    this.element.tabIndex = 0; // So that the keyboard can scroll it.
    this.element.onscroll = () => {
      const { scrollHeight, scrollTop, clientHeight } = this.element;
      this.#isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END;
      this.#onMove();
    };
    this.#resizes.observe(this.element);
  }

  /** Whether the newest message can be seen. */
  get isAtEnd() {
    return this.#isAtEnd && this.element.clientHeight > 0;
  }

  scrollToEnd() {
    this.#isAtEnd = true;
    this.element.scrollTop = this.element.scrollHeight;
  }

  /** Show the messages as they are now. */
  render() {
    const messages = this.#chat.messages;
    const ids = new Set(messages.map((message) => message.id));
    const anchor = this.#anchor();
    const before = anchor?.offsetTop ?? 0;
    this.element.ariaBusy = String(!this.#chat.isLoaded);

    for (const [id, view] of this.#views) {
      if (ids.has(id)) continue;
      view.element.remove();
      this.#views.delete(id);
    }
    let next = this.element.firstElementChild;
    messages.forEach((message, place) => {
      const view = this.#views.get(message.id) ?? new MessageView(message, this.#chat);
      this.#views.set(message.id, view);
      const above = messages[place - 1];
      view.update(above?.author === message.author && message.at - above.at < GROUP_SECONDS);
      if (view.element === next) next = next.nextElementSibling;
      else this.element.insertBefore(view.element, next);
    });

    if (this.#isAtEnd) this.scrollToEnd();
    else if (anchor) this.element.scrollTop += anchor.offsetTop - before;
  }

  close() {
    this.#resizes.disconnect();
  }

  /** The first message in view that stays. */
  #anchor() {
    if (this.#isAtEnd) return undefined;
    const kept = this.#chat.messages.map((message) => this.#views.get(message.id)?.element);
    return kept.find((one) => one && one.offsetTop + one.offsetHeight > this.element.scrollTop);
  }
}
