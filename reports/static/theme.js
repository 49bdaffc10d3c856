"use strict";
// The reader's choice of light or dark, set before the page is painted.
globalThis.PACEBENCH ??= { data: {} };
PACEBENCH.theme = (() => {
  const KEY = "pacebench-theme";
  const root = document.documentElement;

  function stored() {
    try {
      return localStorage.getItem(KEY);
    } catch (error) {
      if (error instanceof DOMException) return null; // storage is switched off
      throw error;
    }
  }

  function store(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
    }
  }

  function isDark() {
    const chosen = root.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function choose(theme) {
    root.dataset.theme = theme;
    store(theme);
    document.dispatchEvent(new CustomEvent("pacebench-theme"));
  }

  const before = stored();
  if (before === "dark" || before === "light") root.dataset.theme = before;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    document.dispatchEvent(new CustomEvent("pacebench-theme")),
  );
  return { isDark, choose };
})();
