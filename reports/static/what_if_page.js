// What "What if" changes on the rest of the page: the leaderboard, the profiles and their steps.
//
// Rows are found by the place of their submission on the leaderboard, never by a name. What a cell
// held is kept, so that the page without a change is the page as it was made.
"use strict";

globalThis.PACEBENCH ??= { data: {} };

(() => {
  /** Gives an element with properties (or, with a hyphen in the name, attributes) and children. */
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name.includes("-") || name === "role") element.setAttribute(name, value);
      else element[name] = value;
    }
    element.append(...children);
    return element;
  }

  /** Gives what a rank cell shows: the rank, and what it was if that differs. */
  function rankNodes(rank, before) {
    if (rank === before) return [String(rank)];
    return [String(rank), " ", make("small", { className: "was" }, `was ${before}`)];
  }

  /** Gives the rows of a table by place, with what their cells hold now. */
  function keptRows(selector, placeOf) {
    const rows = [...document.querySelectorAll(selector)].map((row) => {
      const cells = [...row.cells].map((cell) => ({
        cell,
        value: cell.dataset.value,
        nodes: [...cell.childNodes],
      }));
      return [Number(placeOf(row)), { row, cells, className: row.getAttribute("class") }];
    });
    return new Map(rows);
  }

  function restore({ row, cells, className }) {
    if (className === null) row.removeAttribute("class");
    else row.setAttribute("class", className);
    row.parentElement.append(row);
    for (const { cell, value, nodes } of cells) {
      if (value !== undefined) cell.dataset.value = value;
      cell.replaceChildren(...nodes);
    }
  }

  const board = keptRows("#leaderboard tr[data-index]", (row) => row.dataset.index);
  const stepRows = keptRows("#steps tr[data-steps]", (row) => row.dataset.steps);

  /**
   * Shows scored rows by place, best first, each with the rank it had `before`, or with null all as
   * it was. Of equals the order stays that of `scored`.
   */
  function showLeaderboard(scored) {
    for (const [place, kept] of board) {
      restore(kept);
      if (scored !== null && !scored.has(place)) kept.row.classList.add("is-excluded");
    }
    for (const [place, one] of scored ?? []) {
      const { row } = board.get(place);
      row.parentElement.append(row);
      rewrite(row, one);
    }
    PACEBENCH.refreshTable();
  }

  function rewrite(row, { rank, before, score, nReached, nWorkloads }) {
    const put = (column, value, ...nodes) => {
      const cell = row.querySelector(`:scope > [data-column="${column}"]`);
      cell.dataset.value = value;
      cell.replaceChildren(...nodes);
    };
    put("rank", rank, make("span", { className: "value" }, ...rankNodes(rank, before)));
    const filled = make("span");
    filled.style.width = `${(100 * score).toFixed(1)}%`;
    const bar = make("span", { className: "bar", "aria-hidden": "true" }, filled);
    put("score", score, bar, make("span", { className: "value" }, score.toFixed(4)));
    put("reached", nReached, `${nReached}/${nWorkloads}`);
    for (const column of ["interval", "speedup"]) {
      const spoken = make("span", { className: "hidden-text" }, "not recomputed");
      put(column, "", make("span", { "aria-hidden": "true" }, "–"), spoken);
    }
    row.classList.toggle("is-changed", rank !== before);
  }

  const stepsHead = document.querySelector("#steps thead th:last-child");
  const stepsHeadText = stepsHead.textContent;

  /** Shows by place the steps and the workloads beyond tauMax, or with null all as it was. */
  function showSteps(found, tauMax) {
    stepsHead.textContent = found === null ? stepsHeadText : `Not within ${tauMax}×`;
    for (const [place, kept] of stepRows) {
      restore(kept);
      if (found === null) continue;
      kept.row.classList.toggle("is-excluded", !found.has(place));
      if (!found.has(place)) continue;
      const { steps, missed } = found.get(place);
      const items = steps.map(([tau, names]) =>
        make("li", {}, make("span", {}, `τ ${tau.toFixed(2)}`), ` ${names}`),
      );
      const list = items.length > 0 ? make("ul", { className: "point" }, ...items) : "–";
      kept.row.cells[1].replaceChildren(list);
      kept.row.cells[2].replaceChildren(missed.join(", ") || "–");
    }
  }

  let isDrawing = false;
  let wanted = null;

  /** Draws profiles and says in words what they show; while one is drawn only the newest waits. */
  async function showProfiles(profiles, options, text) {
    wanted = { profiles, options, text };
    if (isDrawing) return;
    isDrawing = true;
    const element = document.getElementById("profiles");
    try {
      while (wanted !== null) {
        const now = wanted;
        wanted = null;
        await PACEBENCH.drawProfiles(element, now.profiles, now.options);
        element.querySelector("[role=img]")?.setAttribute("aria-label", now.text);
      }
    } finally {
      isDrawing = false;
    }
  }

  PACEBENCH.whatIfPage = { make, rankNodes, showLeaderboard, showProfiles, showSteps };
})();
