/** The chat on the page: messages and an input. Its styles are in chat.css. */

import { element } from "../ui/elements.js";
import { MessageLog } from "./message_log.js";

/** @typedef {import("./room_chat.js").RoomChat} RoomChat */

const HIDDEN_MS = 250;

/** Shows a chat in an element of the page. Hide that element with `hidden`, so that what arrives counts as unread. */
export class ChatPanel {
  #root;
  #chat;
  #onUnread;
  #log;
  #trouble = element("p", "chat-trouble");
  #error = element("p", "chat-error");
  #newer = element("button", "chat-newer");
  #input = element("textarea");
  /** @type {Set<string>} ids */
  #unread = new Set();
  #isRenderPending = false;
  #onChange = () => this.#schedule();
  #onArrival = (/** @type {Event} */ event) => this.#arrived(/** @type {CustomEvent} */ (event).detail.id);
  #onSeen = () => this.#updateUnread();

  /**
   * @param {HTMLElement} root an empty element with a height
   * @param {RoomChat} chat
   * @param {{onUnread?: (count: number) => void}} [options] called when the number of unread messages changes
   */
  constructor(root, chat, { onUnread = () => {} } = {}) {
    this.#root = root;
    this.#chat = chat;
    this.#onUnread = onUnread;
    this.#log = new MessageLog(chat, this.#onSeen);
    this.#trouble.role = "status";
    this.#error.role = "alert";
    this.#newer.type = "button";
    this.#newer.onclick = () => {
      this.#log.scrollToEnd();
      this.#log.element.focus(); // The button disappears, and the focus should not.
    };
    root.classList.add("chat-panel");
    root.replaceChildren(this.#log.element, this.#newer, this.#trouble, this.#error, this.#form());

    chat.addEventListener("change", this.#onChange);
    chat.addEventListener("arrival", this.#onArrival);
    document.addEventListener("visibilitychange", this.#onSeen);
    this.#render();
  }

  /** Put the cursor into the input. */
  focus() {
    this.#input.focus();
  }

  /** Remove everything from the page. */
  close() {
    this.#chat.removeEventListener("change", this.#onChange);
    this.#chat.removeEventListener("arrival", this.#onArrival);
    document.removeEventListener("visibilitychange", this.#onSeen);
    this.#log.close();
    this.#root.replaceChildren();
    this.#root.classList.remove("chat-panel");
  }

  #form() {
    const [form, send] = [element("form", "chat-form"), element("button", "", "Send")];
    const input = this.#input;
    input.rows = 1;
    input.ariaLabel = input.placeholder = "Message";
    input.enterKeyHint = "send";
    input.oninput = () => this.#fitInput();
    input.onkeydown = (event) => {
      // While an input method is open, Enter chooses a word. In Safari only the code 229 tells.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.#send();
    };
    form.onsubmit = (event) => {
      event.preventDefault();
      this.#send();
      input.focus();
    };
    form.append(input, send);
    return form;
  }

  #send() {
    try {
      this.#chat.send(this.#input.value);
      this.#input.value = "";
      this.#error.textContent = "";
      this.#log.scrollToEnd();
    } catch (error) {
      this.#error.textContent = error instanceof Error ? error.message : String(error);
    }
    this.#fitInput();
  }

  /** As high as its text; chat.css has the maximum. */
  #fitInput() {
    const input = this.#input;
    const borders = input.offsetHeight - input.clientHeight;
    input.style.height = "auto";
    input.style.height = `${input.scrollHeight + borders}px`;
  }

  /** Render once for many changes. Hidden pages do not get animation frames. */
  #schedule() {
    if (this.#isRenderPending) return;
    this.#isRenderPending = true;
    const render = () => {
      this.#isRenderPending = false;
      this.#render();
    };
    if (document.hidden) setTimeout(render, HIDDEN_MS);
    else requestAnimationFrame(render);
  }

  #render() {
    const { messages, isLoaded, trouble } = this.#chat;
    this.#log.render();
    this.#trouble.textContent = trouble || (isLoaded && messages.length === 0 ? "There are no messages yet." : "");
    for (const id of this.#unread) {
      if (!this.#chat.message(id)) this.#unread.delete(id); // Deleted before anybody read it.
    }
    this.#updateUnread();
  }

  /** @param {string} id */
  #arrived(id) {
    this.#unread.add(id);
    this.#updateUnread();
  }

  #updateUnread() {
    if (this.#log.isAtEnd && !document.hidden) this.#unread.clear();
    const count = this.#unread.size;
    this.#newer.hidden = count === 0;
    const text = count === 1 ? "1 new message" : `${count} new messages`;
    if (this.#newer.textContent === text) return;
    this.#newer.textContent = text;
    this.#onUnread(count);
  }
}
