/** The panel as an anywidget: `snakekernel.panel()`. */

import { mountPanel } from "./panel.js";
import { localSettings } from "./settings.js";
import { WidgetTransport } from "./transport_widget.js";

/** Whether the page has Jupyter's colours. */
function themeOf(element) {
  return getComputedStyle(element).getPropertyValue("--jp-layout-color1") ? "jupyter" : "plain";
}

export default {
  render({ model, el }) {
    const transport = new WidgetTransport(model);
    el.classList.add("snk-widget");
    // As a property of ours: the front-end sets the element's own styles by the widget's layout, sooner or later.
    el.style.setProperty("--snk-height", model.get("height"));
    const panel = mountPanel(el, transport, {
      openView: null,
      theme: themeOf(el),
      storage: localSettings(),
    });
    let onScreen = false;
    const update = () => panel.setVisible(onScreen && document.visibilityState !== "hidden");
    const observer = new IntersectionObserver((entries) => {
      onScreen = entries[entries.length - 1].isIntersecting;
      update();
    });
    observer.observe(el);
    document.addEventListener("visibilitychange", update);
    return () => {
      observer.disconnect();
      document.removeEventListener("visibilitychange", update);
      panel.dispose();
      transport.dispose();
    };
  },
};
