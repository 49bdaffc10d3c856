// The state of "What if": to and from the address, and in words. Nothing here touches the page.
//
// A state holds `method`, `unit`, `tauMax`, `relaxTarget`, `without` and `skipped` (Sets of keys of
// submissions and of workloads). Its address begins with PREFIX and names only what differs from
// the payload's own board, so an unchanged state has no address.
"use strict";

globalThis.PACEBENCH ??= { data: {} };

(() => {
  const PREFIX = "#what-if&";
  const TAU_MAX = { least: 1.1, most: 10, step: 0.1 };
  const RELAX_STEP = 0.001;

  function unchanged(payload) {
    return {
      method: payload.method,
      unit: payload.unit,
      tauMax: payload.tauMax,
      relaxTarget: 0,
      without: new Set(),
      skipped: new Set(),
    };
  }

  /** Says whether an address's hash is that of a state. */
  function isState(hash) {
    return hash.startsWith(PREFIX);
  }

  /** Gives the state of an address's hash; what is unknown or not allowed there is passed over. */
  function read(payload, hash) {
    const state = unchanged(payload);
    if (!isState(hash)) return state;
    const asked = new URLSearchParams(hash.slice(PREFIX.length));
    const method = asked.get("method");
    if (payload.methods.some((one) => one.name === method)) state.method = method;
    if (asked.get("unit") === "steps") state.unit = "steps";
    state.tauMax = numberIn(asked.get("tau"), TAU_MAX.least, TAU_MAX.most) ?? state.tauMax;
    state.relaxTarget = numberIn(asked.get("relax"), 0, payload.relaxMax) ?? 0;
    state.without = keysIn(asked.get("without"), payload.submissions);
    state.skipped = keysIn(asked.get("skip"), payload.workloads);
    return state;
  }

  function numberIn(text, least, most) {
    const value = text === null || text.trim() === "" ? NaN : Number(text);
    return value >= least && value <= most ? value : null;
  }

  function keysIn(text, known) {
    const asked = new Set((text ?? "").split(","));
    return new Set(known.map(({ key }) => key).filter((key) => asked.has(key)));
  }

  /** Gives the hash of a state, empty for the unchanged one. */
  function write(payload, state) {
    const start = unchanged(payload);
    const parts = [];
    if (state.method !== start.method) parts.push(`method=${encodeURIComponent(state.method)}`);
    if (state.unit !== start.unit) parts.push(`unit=${state.unit}`);
    if (state.tauMax !== start.tauMax) parts.push(`tau=${state.tauMax}`);
    if (state.relaxTarget !== 0) parts.push(`relax=${state.relaxTarget}`);
    const keys = (known, out) => known.map(({ key }) => key).filter((key) => out.has(key)).join(",");
    if (state.without.size > 0) parts.push(`without=${keys(payload.submissions, state.without)}`);
    if (state.skipped.size > 0) parts.push(`skip=${keys(payload.workloads, state.skipped)}`);
    return parts.length === 0 ? "" : PREFIX + parts.join("&");
  }

  function optionsOf(state) {
    return {
      method: state.method,
      unit: state.unit,
      tauMax: state.tauMax,
      relaxTarget: state.relaxTarget,
      excludedSubmissions: state.without,
      excludedWorkloads: state.skipped,
    };
  }

  /** Says what differs from the payload's own board, as a list of phrases. */
  function differences(payload, state) {
    const start = unchanged(payload);
    const namesOf = (known, keys) => known.filter((one) => keys.has(one.key)).map(shortName);
    const phrases = [];
    const without = namesOf(payload.submissions, state.without);
    if (without.length > 0) phrases.push(`without ${without.join(", ")}`);
    const isSkipped = (one) => state.skipped.has(one.key);
    const bases = payload.workloads.filter((one) => one.base === null && isSkipped(one));
    if (bases.length > 0) phrases.push(`workloads left out: ${bases.map(shortName).join(", ")}`);
    const gates = payload.workloads.filter(
      (one) => one.base !== null && isSkipped(one) && !isSkipped(payload.workloads[one.base]),
    );
    if (gates.length > 0) phrases.push(`no gate from ${gates.map(shortName).join(", ")}`);
    if (state.method !== start.method) phrases.push(`scored by the method “${state.method}”`);
    if (state.unit !== start.unit) phrases.push(`a target charged in ${state.unit}, not time`);
    if (state.tauMax !== start.tauMax) phrases.push(`profiles up to τ = ${state.tauMax}`);
    if (state.relaxTarget > 0) phrases.push(`every target ${percent(state.relaxTarget)} easier`);
    return phrases;
  }

  function shortName({ name }) {
    const letters = [...name];
    return letters.length > 60 ? `${letters.slice(0, 59).join("")}…` : name;
  }

  function percent(share) {
    return `${Number((100 * share).toFixed(2))}%`;
  }

  PACEBENCH.whatIfState = {
    TAU_MAX,
    RELAX_STEP,
    differences,
    isState,
    optionsOf,
    percent,
    read,
    shortName,
    unchanged,
    write,
  };
})();
