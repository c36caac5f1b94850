/** The chat of a call room: a group (NIP-29) on the server's relay. */

import { CatchUp } from "./catch_up.js";
import { firstValue, Kind } from "./event.js";
import { GroupWriter, MAX_AGE } from "./group_writer.js";
import { MessageList } from "./message_list.js";
import { Presence } from "./presence.js";
import { Profiles } from "./profiles.js";

/**
 * @typedef {import("./event.js").NostrEvent} NostrEvent
 * @typedef {import("./message_list.js").ChatMessage} ChatMessage
 * @typedef {import("./outbox.js").RefusedError} RefusedError
 */

const DELETIONS = 100;
/** An older message needs a new time before it can be sent again, in seconds. */
const RESEND_AGE = MAX_AGE - 600;

/**
 * Messages, names and delivery.
 *
 * Dispatches "change" when something that it shows has changed, and "arrival", with the ChatMessage as `detail`, for each
 * new message of somebody else that is not part of the history.
 */
export class RoomChat extends EventTarget {
  #relay;
  #keys;
  #group;
  #list = new MessageList();
  #catchUp = new CatchUp();
  #writer;
  #profiles;
  #presence;
  /** @type {import("./relay.js").Subscription | undefined} */
  #subscription;
  #refusal = "";
  #hasAskedToJoin = false;
  #isChangePending = false;
  #onState = () => {
    if (this.#relay.state !== "open") this.#catchUp.lost(now());
    this.#changed();
  };

  /**
   * @param {import("./relay.js").Relay} relay
   * @param {import("./key_store.js").KeyStore} keys
   * @param {string} groupId
   */
  constructor(relay, keys, groupId) {
    super();
    this.#relay = relay;
    this.#keys = keys;
    this.#group = groupId;
    this.#writer = new GroupWriter(relay, keys, groupId);
    this.#profiles = new Profiles(relay, keys, () => this.#changed());
    this.#presence = new Presence(relay, keys, groupId);
  }

  /** The messages, the oldest first. */
  get messages() {
    return this.#list.all;
  }

  /** Whether the history has arrived. */
  get isLoaded() {
    return this.#catchUp.isLoaded;
  }

  /** Why the chat does not work at the moment: a sentence; empty if it does. */
  get trouble() {
    if (this.#refusal) return `The chat is not available. ${this.#refusal}`;
    if (this.#relay.state === "open") return "";
    return this.isLoaded ? "The connection to the chat was lost. Reconnecting …" : "Connecting to the chat …";
  }

  /** Load the history, follow the chat, and announce that we are there. The relay is opened and closed elsewhere. */
  open() {
    this.#relay.addEventListener("state", this.#onState);
    this.#subscription = this.#relay.subscribe({
      filters: () => this.#filters(),
      onEvent: (event) => this.#receive(event),
      onStored: () => this.#stored(),
      onRefused: (error) => this.#refused(error),
    });
    this.#profiles.open();
    this.#presence.findCall();
  }

  /** Leave. Call it before the page closes and before the relay is closed, so that others see it at once. */
  close() {
    this.#presence.close();
    this.#relay.removeEventListener("state", this.#onState);
    this.#subscription?.close();
    this.#profiles.close();
  }

  /**
   * @param {string} author public key
   * @returns {string} a name that can be shown as it is
   */
  nameOf(author) {
    return this.#profiles.nameOf(author);
  }

  /**
   * @param {string} id
   * @returns {ChatMessage | undefined}
   */
  message(id) {
    return this.#list.get(id);
  }

  /**
   * Choose our name, here and for everybody.
   *
   * @param {string} name
   * @returns {Promise<void>} rejected with a RefusedError
   */
  setName(name) {
    this.#keys.name = name;
    return this.#profiles.publishName();
  }

  /**
   * Send a message, unless it is blank. It is in the list at once; its `state` tells what happens to it.
   *
   * @param {string} text
   * @throws {RefusedError} the text is too long
   */
  send(text) {
    const content = text.trimEnd().replace(/\p{Surrogate}/gu, "\ufffd");
    if (content) this.#deliver(this.#add(this.#writer.message(content), "sending"));
  }

  /**
   * Send a message that failed again.
   *
   * @param {string} id
   */
  retry(id) {
    const message = this.#list.get(id);
    if (message?.state !== "failed") return;
    if (message.event.created_at < now() - RESEND_AGE) {
      this.#list.remove(id);
      this.#deliver(this.#add(this.#writer.message(message.text), "sending"));
    } else {
      message.state = "sending"; // With the same id the relay cannot store it twice.
      this.#deliver(message);
    }
  }

  /** @param {ChatMessage} message */
  async #deliver(message) {
    this.#changed();
    try {
      await this.#writer.publish(message.event);
      message.state = "sent";
      this.#catchUp.note(message.event);
    } catch (error) {
      if (message.state === "sent") return; // The relay has sent it to us, so it has it.
      message.state = "failed";
      message.reason = error instanceof Error ? error.message : String(error);
    }
    this.#changed();
  }

  // --- receiving ---

  #filters() {
    const group = { "#h": [this.#group] };
    return [
      { kinds: [Kind.MESSAGE], ...group, ...this.#catchUp.begin() },
      { kinds: [Kind.DELETE_EVENT], ...group, limit: DELETIONS },
      { kinds: [Kind.DELETION], limit: DELETIONS },
    ];
  }

  /** @param {NostrEvent} event */
  #receive(event) {
    const isOurs = firstValue(event, "h") === this.#group;
    if (event.kind === Kind.DELETION) this.#list.removeNamedIn(event, event.pubkey);
    else if (event.kind === Kind.DELETE_EVENT && isOurs)
      this.#list.removeNamedIn(event); // The relay checks who may.
    else if (event.kind === Kind.MESSAGE && isOurs) this.#receiveMessage(event);
    this.#changed();
  }

  /** @param {NostrEvent} event */
  #receiveMessage(event) {
    this.#catchUp.note(event);
    const known = this.#list.get(event.id);
    if (known) {
      known.state = "sent";
    } else {
      const message = this.#add(event, "sent");
      this.#profiles.add(message.author);
      const isNew = this.isLoaded && !message.isOwn && this.#list.get(event.id);
      if (isNew) this.dispatchEvent(new CustomEvent("arrival", { detail: message }));
    }
  }

  /**
   * @param {NostrEvent} event
   * @param {ChatMessage["state"]} state
   * @returns {ChatMessage}
   */
  #add(event, state) {
    return this.#list.add(event, { state, isOwn: event.pubkey === this.#keys.publicKey, now: now() });
  }

  #stored() {
    const accepted = this.#list.all.filter((message) => message.state === "sent").map((message) => message.event);
    for (const id of this.#catchUp.finish(accepted)) this.#list.remove(id); // Deleted while we were away.
    this.#refusal = "";
    this.#presence.open();
    this.#changed();
  }

  /** @param {RefusedError} error */
  async #refused(error) {
    this.#refusal = error.message;
    if (error.prefix === "restricted" && !this.#hasAskedToJoin) {
      this.#hasAskedToJoin = true; // Perhaps only members may read.
      try {
        await this.#writer.join();
        this.#subscription?.refresh();
        return;
      } catch (refusal) {
        if (refusal instanceof Error) this.#refusal = refusal.message;
      }
    }
    this.#changed();
  }

  /** Announce a change, once for all changes of this task. */
  #changed() {
    if (this.#isChangePending) return;
    this.#isChangePending = true;
    queueMicrotask(() => {
      this.#isChangePending = false;
      this.dispatchEvent(new Event("change"));
    });
  }
}

function now() {
  return Math.floor(Date.now() / 1000);
}
