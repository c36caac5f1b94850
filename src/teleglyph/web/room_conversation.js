/** The chat of the call's room: the connection to the relay, the conversation, and its panel. */

import { ChatPanel } from "./chat/chat_panel.js";
import { KeyStore } from "./chat/key_store.js";
import { Relay } from "./chat/relay.js";
import { RoomChat } from "./chat/room_chat.js";
import { h } from "./ui/elements.js";

export class RoomConversation {
  /**
   * @param {string} url of the relay
   * @param {string} group id of the room's group
   * @param {string} name of the user
   * @param {(count: number) => void} onUnread called when the number of unread messages changes
   */
  constructor(url, group, name, onUnread) {
    const keys = new KeyStore();
    if (name) keys.name = name;
    this._relay = new Relay(url, keys);
    this._chat = new RoomChat(this._relay, keys, group);
    this.element = h("div.chat-root");
    this._panel = new ChatPanel(this.element, this._chat, { onUnread });
    this._chat.open();
    this._relay.open();
  }

  /** @param {string} name that the others see; an empty one changes nothing */
  setName(name) {
    // What the relay says about it is of no use here: the chat works under any name.
    if (name) this._chat.setName(name).catch(() => {});
  }

  /** Leave the chat; messages that were not sent are lost. */
  close() {
    this._panel.close();
    this._chat.close();
    this._relay.close();
  }
}
