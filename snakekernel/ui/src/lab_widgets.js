/**
 * The Lumino widgets of the panel and of the views that it opens; they tell what they hold when it is seen.
 */

import { localSettings } from "./settings.js";

/** Pixels that the panel is wide at first, where there is room. */
const WIDTH = 340;

/** Pixels of the area below the notebook that show something of a table. */
const LEAST_BELOW = 200;

/** The side panel's widget, which tells when it is seen. */
export function sideWidget(lab, panels) {
  const { Widget } = lab["@lumino/widgets"];
  const settings = localSettings();
  class ObjectsWidget extends Widget {
    constructor() {
      super({ node: panels.node });
    }
    onAfterAttach() {
      panels.setVisible(this.isVisible);
    }
    onAfterShow() {
      panels.setVisible(true);
    }
    onResize({ width }) {
      if (this.isVisible && width > 0 && !settings.get("width")) {
        settings.set("width", WIDTH);
        // Not while what is around it still computes its own sizes.
        requestAnimationFrame(() => widen(this));
      }
    }
    onBeforeHide() {
      panels.setVisible(false);
    }
    onBeforeDetach() {
      panels.setVisible(false);
    }
    onActivateRequest() {
      const first = this.node.querySelector('.snk-host-session:not([hidden]) input, [tabindex="0"]');
      first?.focus();
    }
  }
  return new ObjectsWidget();
}

/** Give the side panel a width that shows its columns, when it is seen for the first time. */
function widen(side) {
  const width = side.node.clientWidth;
  let split = side.parent;
  while (split && !(split.relativeSizes && split.orientation === "horizontal")) {
    split = split.parent;
  }
  const sizes = split?.relativeSizes() ?? [];
  const more = (WIDTH - width) / (split?.node.clientWidth || WIDTH);
  if (sizes.length > 1 && more > 0 && sizes[sizes.length - 2] > more * 2) {
    sizes[sizes.length - 1] += more;
    sizes[sizes.length - 2] -= more;
    split.setRelativeSizes(sizes);
  }
}

let viewCount = 0;

/**
 * A view as a tab.
 *
 * `mount(element)` gives what is disposed of with it; `isBelow` tells that it opens in the area below a notebook.
 */
export function tabWidget(lab, { icon, title, mount, isBelow }) {
  const { Widget } = lab["@lumino/widgets"];
  class ViewWidget extends Widget {
    onAfterAttach() {
      this.handle ??= mount(this.node);
    }
    onResize() {
      if (isBelow && !this.hasRoom) {
        this.hasRoom = true;
        giveRoom(this);
      }
      this.handle?.resized?.();
    }
    onAfterShow() {
      this.handle?.resized?.();
    }
    onCloseRequest(message) {
      super.onCloseRequest(message);
      this.dispose();
    }
    dispose() {
      this.handle?.dispose();
      this.handle = null;
      super.dispose();
    }
  }
  const widget = new ViewWidget();
  viewCount += 1;
  widget.id = `snakekernel-view-${viewCount}`;
  widget.addClass("snk-host-view");
  widget.title.label = title;
  widget.title.caption = title;
  widget.title.closable = true;
  if (!isBelow) {
    widget.title.icon = icon;
  }
  return widget;
}

/** The area below the notebook begins with no height. */
function giveRoom(widget) {
  // Its parents: a stack, the tabs, what splits the page.
  const area = widget.parent?.parent;
  const split = area?.parent;
  if (split?.setRelativeSizes && area.node.clientHeight < LEAST_BELOW) {
    split.setRelativeSizes([1, 1]);
  }
}
