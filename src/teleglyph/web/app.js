/** The page as a whole: lobby, call, and what connects their parts. */

import { Call } from "./call/call.js";
import { AuthFailure, Stream } from "./call/messages.js";
import { encodeOpusBatch } from "./call/opus_batch.js";
import { Type } from "./call/packet.js";
import { LOST, whyNot } from "./call/refusal.js";
import { overWebSocket } from "./call/transport.js";
import { noName } from "./discovery/call_name.js";
import { trustHost } from "./discovery/host_trust.js";
import { missingSupport } from "./discovery/problem.js";
import { overRendezvous } from "./discovery/rendezvous.js";
import { RoomConversation } from "./room_conversation.js";
import { RoomSound } from "./room_sound.js";
import { readLink, socketUrl } from "./link.js";
import { encodeAudioBatch } from "./media/audio_batch.js";
import { OwnMedia } from "./own_media.js";
import { loadPreferences, savePreferences, validated } from "./preferences.js";
import { announce } from "./ui/announcements.js";
import { CallView } from "./ui/call_view.js";
import { byId } from "./ui/elements.js";
import { HostPanel, NO_CHAT, hostWarning } from "./ui/host_panel.js";
import { Lobby } from "./ui/lobby.js";
import { NameForm } from "./ui/name_form.js";
import { changes } from "./ui/people.js";

const RATE = 60;
const HIDDEN_RATE = 1;

export class App {
  /** @param {import("./media/media_support.js").MediaSupport} support */
  constructor(support) {
    this._support = support;
    this._preferences = loadPreferences();
    this._isDiscovery = document.querySelector("meta[name=teleglyph-discovery][content='1']") !== null;
    this._link = readLink(location, this._isDiscovery);
    const { name, room } = this._link;
    this._title = [name, room].filter(Boolean).join("/");
    /** About the host; null if it is the server that this page comes from. */
    this._host = name ? new HostPanel(name) : null;
    /** @type {import("./discovery/data_channel.js").Way | ""} */
    this._way = "";
    this._root = byId("app");
    this._media = new OwnMedia({
      onChange: () => this._mediaChanged(),
      onProblem: (text) => this._problem(text),
      onLevel: (rms) => this._lobby?.showLevel(rms),
    });
    this._media.setPushToTalk(this._preferences.pushToTalk);
    this._sound = new RoomSound((needsGesture) =>
      this._view?.status(needsGesture ? "Click to hear the others" : "", () => void this._sound.resume()),
    );
    this._sound.volume = this._preferences.volume;
    this._spotlight = 0;
    this._isViewOnly = false;
    /** @type {Lobby | null} */
    this._lobby = null;
    /** @type {CallView | null} */
    this._view = null;
    /** @type {Call | null} */
    this._call = null;
    /** @type {RoomConversation | null} */
    this._conversation = null;
    /** @type {import("./call/messages.js").RosterEntry[]} */
    this._roster = [];
    document.addEventListener("visibilitychange", () => this._sendView());
    addEventListener("pagehide", () => {
      this._call?.leave();
      this._conversation?.close();
    });
    addEventListener("pageshow", (event) => {
      // The page comes out of the browser's cache after it has left the call.
      if (event.persisted && this._call !== null) location.reload();
    });
  }

  /** The part with the picture; null in the lobby. */
  get stage() {
    return this._view?.stage ?? null;
  }

  /** Show the lobby, and turn on what was on the last time. */
  async start() {
    if (this._isDiscovery && !this._link.name) {
      this._askForName();
      return;
    }
    this._showLobby();
    if (this._link.isViewOnly) return;
    const { camera, microphone } = this._preferences;
    if (camera && this._support.camera) await this._media.setCamera(true);
    if (microphone && this._support.microphone) await this._media.setMicrophone(true);
  }

  // --- the lobby ------------------------------------------------------------------------------------

  _askForName() {
    const { wrongName } = this._link;
    const form = new NameForm(wrongName && noName(wrongName), (path) => location.assign(path));
    this._root.replaceChildren(form.element);
  }

  _showLobby() {
    this._endCall();
    document.title = this._title ? `${this._title} · Teleglyph` : "Teleglyph";
    this._lobby?.dispose();
    this._lobby = new Lobby({
      room: this._title,
      isByName: this._host !== null,
      preferences: this._preferences,
      media: this._media,
      support: this._support,
      isViewOnly: this._link.isViewOnly,
      onJoin: (name, password) => this._join(name, password),
      onWish: (wishes) => this._wish(wishes),
    });
    this._root.replaceChildren(this._lobby.element);
    if (this._host !== null) void missingSupport().then((text) => text && this._lobby?.forbid(text));
  }

  /**
   * @param {string} name
   * @param {string} password
   */
  _join(name, password) {
    this._setPreferences({ name });
    this._lobby?.showJoining(true);
    const { worklet, audioDecoder } = this._support;
    if (worklet) void this._sound.start(() => this._media.devices.chosen("speaker"));
    const entry = { ...this._link, password, name };
    // The size is not known before the stage is on the page.
    this._call = new Call(this._transport(), entry, this._wantedView(), audioDecoder, {
      onJoined: (welcome) => this._joined(welcome),
      onScreen: (payload) => void this._view?.stage.receive(payload),
      onSound: (type, payload) => this._sound.hear(type, payload),
      onPictureRequest: (request) => this._media.request(request),
      onRoster: (roster) => this._showRoster(roster),
      onViewState: ({ place }) => this._showSpotlight(place),
      onLost: (ending, seconds) => this._lost(ending, seconds),
      onRefused: (ending) => void this._refused(ending),
    });
  }

  /** @returns {import("./call/transport.js").Connect} */
  _transport() {
    const host = this._host;
    if (host === null) return overWebSocket(socketUrl(location, "/call"));
    return overRendezvous({
      url: socketUrl(location, "/discovery"),
      name: this._link.name,
      pin: this._link.pin,
      onHost: (key) => host.showKey(key),
      onWay: (way) => this._showWay(way),
    });
  }

  /** @param {import("./call/handshake.js").Ending} ending */
  async _refused(ending) {
    if (this._view !== null) this._showLobby();
    this._call = null;
    this._sound.close();
    const lobby = this._lobby;
    lobby?.showJoining(false);
    const { reasons, text, change } = ending;
    if (text) lobby?.notice(text, true);
    if (change) lobby?.show(hostWarning(change, () => this._trust(change)));
    else if (reasons & AuthFailure.PASSWORD_REQUIRED && !this._support.secure)
      lobby?.notice(
        "This call has a password. It can only be typed on a secure page, so ask the host for an https link.",
        true,
      );
    else if (reasons & (AuthFailure.PASSWORD_REQUIRED | AuthFailure.PASSWORD_INCORRECT))
      lobby?.askForPassword((reasons & AuthFailure.PASSWORD_INCORRECT) !== 0);
    else if (reasons & AuthFailure.KEY_REQUIRED)
      lobby?.notice(
        "This call admits only people with a key, or with an invitation. Ask the host for an invitation link.",
        true,
      );
    else if (!text) lobby?.notice(this._host ? LOST : await whyNot(), true);
  }

  /** @param {import("./discovery/host_trust.js").HostChange} change that the user knows of */
  _trust({ name, actual }) {
    trustHost(name, actual);
    this._lobby?.submit();
  }

  // --- the call -------------------------------------------------------------------------------------

  /** @param {{room: string, group: string, isViewOnly: boolean, codecs: number}} welcome */
  _joined({ room, group, isViewOnly, codecs }) {
    this._isViewOnly = isViewOnly;
    if (isViewOnly) {
      void this._media.setCamera(false);
      void this._media.setMicrophone(false);
    }
    this._media.startEncoding(codecs);
    this._media.onPicture = (picture) => this._call?.sendPicture(picture) ?? true;
    this._media.onOpus = (packet, ms) => this._call?.sendSound(Type.AUDIO_OPUS_BATCH, encodeOpusBatch(packet, ms));
    this._media.onSamples = (samples) => this._call?.sendSound(Type.AUDIO_BATCH, encodeAudioBatch(samples));
    if (this._view === null) this._showCall(room);
    this._view?.stage.restart();
    this._view?.status("");
    this._mediaChanged();
    if (isViewOnly) this._view?.status("You were invited to watch and listen.");
    // The chat is at the host, which this page cannot ask for it.
    if (group && this._host === null && this._conversation === null) this._startChat(group);
  }

  /** @param {string} room */
  _showCall(room) {
    const { camera, microphone, worklet } = this._support;
    this._lobby?.dispose();
    this._lobby = null;
    const title = this._host ? this._title : room;
    document.title = `${title} · Teleglyph`;
    this._view = new CallView({
      room: title,
      host: this._host?.element ?? null,
      noChat: this._host ? NO_CHAT : "",
      preferences: this._preferences,
      media: this._media,
      can: { camera: camera && !this._isViewOnly, microphone: microphone && !this._isViewOnly, sound: worklet },
      canChooseSpeaker: RoomSound.canChooseOutput,
      onSize: () => this._sendView(),
      onAcknowledge: (number, flags) => this._call?.acknowledge(number, (flags & 1) !== 0),
      onPlace: (place) => this._spotlightWish(place),
      onWish: (wishes) => this._wish(wishes),
      onPreferences: (changed) => this._setPreferences(changed),
      onDevice: (kind, id) => void this._useDevice(kind, id),
      onLeave: () => this._leave(),
    });
    this._root.replaceChildren(this._view.element);
    this._view.showSpotlight(this._spotlight);
    if (this._way) this._view.showWay(this._way);
  }

  /** @param {import("./discovery/data_channel.js").Way} way to the host */
  _showWay(way) {
    this._way = way;
    this._host?.showWay(way);
    this._view?.showWay(way);
  }

  /**
   * @param {import("./call/handshake.js").Ending} ending
   * @param {number} seconds
   */
  _lost(ending, seconds) {
    this._media.stopEncoding();
    const reason = ending.text ? `${ending.text} ` : "";
    this._view?.status(`${reason}Connection lost. Reconnecting${seconds > 3 ? ` in ${Math.round(seconds)} s` : ""} …`);
  }

  _leave() {
    this._call?.leave();
    this._call = null;
    void this._media.setCamera(false);
    void this._media.setMicrophone(false);
    this._showLobby();
    this._lobby?.notice("You left the call.");
  }

  _endCall() {
    this._call?.leave();
    this._call = null;
    this._conversation?.close();
    this._conversation = null;
    this._media.stopEncoding();
    this._sound.close();
    this._view?.dispose();
    this._view = null;
    this._roster = [];
    this._spotlight = 0;
  }

  // --- pictures -------------------------------------------------------------------------------------

  /** @returns {import("./call/messages.js").View} */
  _wantedView() {
    const { columns, rows } = this._view?.stage.size ?? { columns: 0, rows: 0 };
    const { colorLevel, renderMode, hidesSelf, mirrorsSelf } = this._preferences;
    return {
      columns: columns || 80,
      rows: rows || 24,
      rate: document.visibilityState === "hidden" ? HIDDEN_RATE : RATE,
      colorLevel,
      renderMode,
      hidesSelf,
      mirrorsSelf,
      spotlight: this._spotlight,
    };
  }

  _sendView() {
    this._call?.setView(this._wantedView());
  }

  /** @param {number} place to show alone; 0 for all */
  _spotlightWish(place) {
    this._spotlight = place;
    this._sendView();
  }

  /** @param {number} place */
  _showSpotlight(place) {
    this._spotlight = place;
    this._view?.showSpotlight(place);
  }

  /** @param {import("./call/messages.js").RosterEntry[]} roster */
  _showRoster(roster) {
    this._view?.stage.showRoster(roster);
    this._view?.people.showRoster(roster);
    for (const sentence of changes(this._roster, roster)) announce(sentence);
    this._roster = roster;
  }

  // --- camera and microphone ------------------------------------------------------------------------

  /** @param {{camera?: boolean, microphone?: boolean}} wishes of the user */
  _wish({ camera, microphone }) {
    if (camera !== undefined) {
      this._setPreferences({ camera });
      void this._media.setCamera(camera);
    }
    if (microphone !== undefined) {
      this._setPreferences({ microphone });
      void this._media.setMicrophone(microphone);
    }
  }

  _mediaChanged() {
    this._lobby?.refresh();
    this._view?.refresh();
    const video = this._media.hasCamera && !this._isViewOnly ? Stream.VIDEO : 0;
    // The stream of sound also brings the others' sound, so it is on with a muted microphone.
    this._call?.setStreams(video | (this._support.worklet ? Stream.AUDIO : 0));
  }

  /**
   * @param {import("./media/devices.js").DeviceKind} kind
   * @param {string} id
   */
  async _useDevice(kind, id) {
    if (kind !== "speaker") return this._media.choose(kind, id);
    this._media.devices.choose(kind, id);
    await this._sound.setOutput(id).catch(() => this._problem("This speaker cannot be used."));
  }

  /** @param {string} text */
  _problem(text) {
    if (this._lobby) this._lobby.notice(text, true);
    else this._view?.status(text, () => this._view?.status(""));
  }

  // --- chat and preferences -------------------------------------------------------------------------

  /** @param {string} group */
  _startChat(group) {
    const conversation = new RoomConversation(socketUrl(location, "/events"), group, this._preferences.name, (unread) =>
      this._view?.showUnread(unread),
    );
    this._conversation = conversation;
    this._view?.setChat(conversation.element);
    if (matchMedia("(min-width: 1100px)").matches) this._view?.show("chat", false);
  }

  /** @param {Partial<import("./preferences.js").Preferences>} changed */
  _setPreferences(changed) {
    const preferences = this._preferences;
    Object.assign(preferences, validated({ ...preferences, ...changed }));
    savePreferences(preferences);
    if (changed.cell !== undefined) this._view?.stage.setCell(preferences.cell);
    this._sound.volume = preferences.volume;
    if (changed.pushToTalk !== undefined) this._media.setPushToTalk(preferences.pushToTalk);
    if (changed.name !== undefined) {
      this._call?.setName(preferences.name);
      this._conversation?.setName(preferences.name);
    }
    this._sendView();
  }
}
