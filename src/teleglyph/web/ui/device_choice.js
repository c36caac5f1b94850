/** Elements to choose a camera, a microphone and a speaker. */

import { h } from "./elements.js";

const LABELS = Object.freeze({ camera: "Camera", microphone: "Microphone", speaker: "Speaker" });

/** @typedef {import("../media/devices.js").DeviceKind} DeviceKind */

export class DeviceChoice {
  /**
   * @param {import("../media/devices.js").Devices} devices
   * @param {DeviceKind[]} kinds to offer
   * @param {(kind: DeviceKind, id: string) => void} onChoose
   */
  constructor(devices, kinds, onChoose) {
    this._devices = devices;
    this.element = h("div.settings-devices");
    /** @type {Map<DeviceKind, HTMLSelectElement>} */
    this._selects = new Map();
    for (const kind of kinds) {
      const select = /** @type {HTMLSelectElement} */ (
        h("select", { onchange: () => onChoose(kind, select.value), name: kind })
      );
      this._selects.set(kind, select);
      this.element.append(h("label.field", {}, h("span", {}, LABELS[kind]), select));
    }
    void this.refresh();
  }

  /** Show the devices that there are now. */
  async refresh() {
    const lists = await this._devices.list();
    for (const [kind, select] of this._selects) {
      const options = [
        { id: "", label: "Default" },
        ...lists[kind].filter((one) => one.id !== "" && one.id !== "default"),
      ];
      const chosen = this._devices.chosen(kind);
      select.replaceChildren(
        ...options.map(({ id, label }) => h("option", { value: id, selected: id === chosen }, label)),
      );
      /** @type {HTMLElement} */ (select.parentElement).hidden = lists[kind].length === 0;
    }
  }
}
