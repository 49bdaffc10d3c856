// The panel "What if": what is ticked there is scored again by scoring.js and shown at once.
//
// The address holds the state: a change makes a new address, and whatever else changes the address
// (back, a shared link) is shown in the same way. Others' names become text only.
"use strict";

(() => {
  const { score, whatIfState: states, whatIfPage: page } = PACEBENCH;
  const { make } = page;
  const payload = PACEBENCH.data.what_if;
  const started = new Map(score(payload).table.map((row) => [row.key, row.rank]));
  const places = new Map(payload.submissions.map(({ key, place }) => [key, place]));
  const INTRODUCTION =
    "Leave out a submission or a workload, score by the other method, or move a limit: this page " +
    "scores the runs again as you go. Its address holds what you chose, so that you can share it.";
  const NOT_RECOMPUTED =
    "Intervals, bands and speedups are not recomputed and are left out; what follows the profiles " +
    "stays as scored.";
  const METHODS = new Map([
    ["exact", "the documented definition (exact)"],
    ["published", "AlgoPerf’s own code (published)"],
  ]);

  // The panel

  function checkbox(kind, { key, name }, className = "") {
    const input = make("input", { type: "checkbox", name: kind, value: key, checked: true });
    return make("label", { className }, input, make("span", {}, states.shortName({ name })));
  }

  function choices(kind, options) {
    return options.map(([value, text]) => {
      const input = make("input", { type: "radio", name: kind, value });
      return make("label", {}, input, make("span", {}, text));
    });
  }

  function slider(name, text, limits) {
    const id = `what-if-${name}`;
    const input = make("input", { type: "range", id, name, ...limits });
    const shown = make("output", { name: `${name}-text`, htmlFor: id });
    return make("p", { className: "slider" }, make("label", { htmlFor: id }, text), shown, input);
  }

  function group(title, className, ...children) {
    const choice = make("div", { className }, ...children);
    return make("fieldset", {}, make("legend", {}, title), choice);
  }

  function controls() {
    const submissions = [...payload.submissions].sort((one, other) => one.place - other.place);
    const bases = payload.workloads.filter((one) => one.base === null);
    const gatesOf = (base) => payload.workloads.filter((one) => payload.workloads[one.base] === base);
    const workloads = bases.flatMap((base) => [
      checkbox("workload", base),
      ...gatesOf(base).map((gate) => checkbox("workload", gate, "gate")),
    ]);
    const methods = payload.methods.map(({ name }) => [name, METHODS.get(name) ?? name]);
    const units = [...new Set([payload.unit, "steps"])].map((unit) => [unit, unit]);
    const { least, most, step } = states.TAU_MAX;
    const relax = { min: 0, max: payload.relaxMax, step: states.RELAX_STEP };
    return make(
      "form",
      { className: "controls", autocomplete: "off" },
      group("Submissions", "ticks", ...submissions.map((one) => checkbox("submission", one))),
      group("Workloads and their gates", "ticks", ...workloads),
      group("Scored by", "", ...choices("method", methods)),
      ...(units.length > 1 ? [group("A target is charged in", "", ...choices("unit", units))] : []),
      group(
        "Limits",
        "",
        slider("tau", "Profiles up to τ", { min: least, max: most, step }),
        slider("relax", "Every target easier by", relax),
      ),
    );
  }

  const form = controls();
  const status = make("p", { className: "what-if-status", role: "status", "aria-live": "polite" });
  const ranks = make("tbody");
  const reset = make("button", { type: "button" }, "Reset");
  const notice = make("p", { className: "what-if-notice", hidden: true });

  function fillSection(section) {
    const heads = ["Rank", "Submission", "Score"].map((text) => make("th", { scope: "col" }, text));
    heads[2].className = "n";
    const table = make(
      "table",
      { id: "what-if-ranks" },
      make("caption", {}, "Ranks under what is chosen here"),
      make("thead", {}, make("tr", {}, ...heads)),
      ranks,
    );
    const result = make("div", { className: "result" }, table, status, reset);
    section.setAttribute("aria-labelledby", "what-if-title");
    section.replaceChildren(
      make("h2", { id: "what-if-title" }, "What if?"),
      make("p", {}, INTRODUCTION),
      make("div", { className: "what-if" }, form, result),
    );
    document.getElementById("leaderboard").parentElement.before(notice);
  }

  // Between the panel and a state

  function chosen() {
    const unticked = (kind) =>
      new Set([...form.elements].filter((i) => i.name === kind && !i.checked).map((i) => i.value));
    return {
      method: form.elements.namedItem("method").value,
      unit: form.elements.namedItem("unit")?.value ?? payload.unit,
      tauMax: numberAt("tau"),
      relaxTarget: numberAt("relax"),
      without: unticked("submission"),
      skipped: unticked("workload"),
    };
  }

  /** Sets a slider, which rounds, and keeps the number itself for as long as nobody moves it. */
  function putNumber(name, number) {
    const input = form.elements.namedItem(name);
    input.value = number;
    input.dataset.rounded = input.value;
    input.dataset.number = number;
  }

  function numberAt(name) {
    const { value, dataset } = form.elements.namedItem(name);
    return Number(value === dataset.rounded ? dataset.number : value);
  }

  function choose(state) {
    for (const input of form.elements) {
      if (input.name === "submission") input.checked = !state.without.has(input.value);
      if (input.name === "workload") input.checked = !state.skipped.has(input.value);
      if (input.name === "method") input.checked = input.value === state.method;
      if (input.name === "unit") input.checked = input.value === state.unit;
    }
    putNumber("tau", state.tauMax);
    putNumber("relax", state.relaxTarget);
  }

  /** Keeps the gates of workloads that are left out from being ticked: they decide nothing. */
  function closeGates(state) {
    const isOut = ({ base }) => base !== null && state.skipped.has(payload.workloads[base].key);
    const out = new Set(payload.workloads.filter(isOut).map(({ key }) => key));
    for (const input of form.elements) {
      if (input.name === "workload") input.disabled = out.has(input.value);
    }
  }

  // What a state looks like

  const isMoved = (row) => row.rank !== started.get(row.key);

  function showRanks(table) {
    const rows = table.map((row) =>
      make(
        "tr",
        { className: isMoved(row) ? "is-changed" : "" },
        make("td", { className: "rank" }, ...page.rankNodes(row.rank, started.get(row.key))),
        make("th", { scope: "row" }, states.shortName(row)),
        make("td", { className: "n" }, row.score.toFixed(4)),
      ),
    );
    ranks.replaceChildren(...rows);
  }

  function summary(changes, table) {
    if (changes.length === 0) return "Nothing is changed: these are the ranks as scored.";
    if (table.length === 0) return "Tick at least one submission and one workload.";
    const n = table.filter(isMoved).length;
    const moved = n === 0 ? "No rank changes" : `${n} of ${table.length} ranks change`;
    return `${moved}: ${changes.join("; ")}. ${NOT_RECOMPUTED}`;
  }

  function showNotice(changes) {
    const again = make("button", { type: "button" }, "Reset");
    again.addEventListener("click", () => {
      go(states.unchanged(payload));
      notice.nextElementSibling.focus({ preventScroll: true }); // the button is gone
    });
    const head = make("strong", {}, "What if, not the table as scored:");
    notice.replaceChildren(head, ` ${changes.join("; ")}. ${NOT_RECOMPUTED} `, again);
    notice.hidden = changes.length === 0;
    document.body.classList.toggle("is-what-if", changes.length > 0);
  }

  function showPage({ table, profiles, steps }, tauMax, isChanged) {
    const named = PACEBENCH.data.board.submissions;
    const inOrder = [...profiles.keys()].sort((one, other) => places.get(one) - places.get(other));
    const byName = (map) => new Map(inOrder.map((key) => [named[places.get(key)].name, map.get(key)]));
    const rows = new Map(table.map((row) => [places.get(row.key), row]));
    const ranked = [...rows].map(([place, row]) => [place, { ...row, before: started.get(row.key) }]);
    const beyond = ({ isBase, ratio }) => isBase && ratio > tauMax;
    const stepped = [...rows].map(([place, { key, cells }]) => {
      const missed = cells.filter(beyond).map(states.shortName);
      return [place, { steps: steps.get(key), missed }];
    });
    page.showLeaderboard(isChanged ? new Map(ranked) : null);
    page.showSteps(isChanged ? new Map(stepped) : null, tauMax);
    const texts = table.slice(0, 30).map((row) => `${states.shortName(row)} scores ${row.score.toFixed(3)}`);
    const text = `Performance profiles: ${texts.join("; ")}.`;
    page.showProfiles(byName(profiles), { tauMax, steps: byName(steps) }, text);
  }

  let shown = "";

  /** Shows a state; `isSettled` unless a slider is being moved, which would be read out loud. */
  function show(state, isSettled) {
    const result = score(payload, states.optionsOf(state));
    const hash = states.write(payload, state);
    const changes = states.differences(payload, state);
    form.elements.namedItem("tau-text").value = String(state.tauMax);
    form.elements.namedItem("relax-text").value = states.percent(state.relaxTarget);
    form.elements.namedItem("relax").setAttribute("aria-valuetext", states.percent(state.relaxTarget));
    closeGates(state);
    showRanks(result.table);
    if (isSettled) status.textContent = summary(changes, result.table);
    if (hash === shown) return;
    shown = hash;
    showNotice(changes);
    showPage(result, state.tauMax, changes.length > 0);
  }

  function showAll(state) {
    choose(state);
    show(state, true);
  }

  /** Shows the address's state; one that leads to a place on this page keeps what is shown. */
  function followAddress() {
    const { hash } = location;
    moved = null;
    if (hash === "" || states.isState(hash)) showAll(states.read(payload, hash));
  }

  let moved = null; // the slider that made the address, if one did

  /** Shows a state and makes it the page's address; one slider's moves are one step back. */
  function go(state, slider = null) {
    const hash = states.write(payload, state);
    if (hash !== states.write(payload, states.read(payload, location.hash))) {
      const address = location.pathname + location.search + hash;
      if (slider !== null && slider === moved) history.replaceState(null, "", address);
      else history.pushState(null, "", address);
    }
    moved = slider;
    showAll(state);
  }

  const sliderOf = ({ target }) => (target.type === "range" ? target : null);

  fillSection(document.getElementById("what-if"));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => show(chosen(), false));
  form.addEventListener("change", (event) => go(chosen(), sliderOf(event)));
  reset.addEventListener("click", () => go(states.unchanged(payload)));
  addEventListener("popstate", followAddress);
  showAll(states.read(payload, location.hash));
})();
