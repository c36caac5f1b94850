/** A page with nothing but a chat: ?relay=URL&group=ID&name=NAME. */

import { ChatPanel } from "/web/chat/chat_panel.js";
import { KeyStore } from "/web/chat/key_store.js";
import { Relay } from "/web/chat/relay.js";
import { RoomChat } from "/web/chat/room_chat.js";

const options = new URLSearchParams(location.search);
const keys = new KeyStore();
keys.name = options.get("name") ?? "";
const relay = new Relay(options.get("relay"), keys);
const chat = new RoomChat(relay, keys, options.get("group"));
const root = document.getElementById("chat");
const panel = new ChatPanel(root, chat, { onUnread: (count) => (document.title = count ? `(${count}) Chat` : "Chat") });
chat.open();
relay.open();
Object.assign(window, { chat, keys, panel, relay, alerts: 0, alert: () => window.alerts++ });
