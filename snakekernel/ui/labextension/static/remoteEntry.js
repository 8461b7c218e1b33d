/**
 * The extension as JupyterLab and Notebook load it: a module federation container, written by hand.
 *
 * Rules: Lab's own modules are taken from the share scope that it hands to `init`; everything else is in
 * panel.js, an ES module beside this file.
 */
(() => {
  "use strict";
  const NAME = "snakekernel";
  const NEEDED = [
    "@jupyterlab/application",
    "@jupyterlab/apputils",
    "@jupyterlab/console",
    "@jupyterlab/notebook",
    "@jupyterlab/services",
    "@jupyterlab/ui-components",
    "@lumino/widgets",
  ];
  const base = document.currentScript.src;
  let scope = null;

  /** The shared module; Lab registers one version of each. */
  async function shared(name) {
    const versions = Object.values(scope[name] ?? {});
    if (versions.length === 0) {
      throw new Error(`${NAME}: this front-end has no ${name}`);
    }
    const chosen = versions.find((version) => version.loaded) ?? versions[0];
    return (await chosen.get())();
  }

  async function extension() {
    const [panel, ...modules] = await Promise.all([
      import(new URL("panel.js", base).href),
      ...NEEDED.map(shared),
    ]);
    const lab = Object.fromEntries(NEEDED.map((name, i) => [name, modules[i]]));
    const style = new URL("panel.css", base).href;
    return () => ({ __esModule: true, default: panel.labPlugins(lab, style) });
  }

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB[NAME] = {
    init(shareScope) {
      scope = shareScope;
    },
    get(module) {
      if (module !== "./extension") {
        return Promise.reject(new Error(`${NAME}: there is no ${module}`));
      }
      return extension();
    },
  };
})();
