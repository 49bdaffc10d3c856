"use strict";
// Tables that can be sorted, filtered and copied, and the button for light and dark.
globalThis.PACEBENCH ??= { data: {} };
(() => {
  const cellOf = (row, column) => row.querySelector(`:scope > [data-column="${column}"]`);
  const rowsOf = (table) => [...table.tBodies[0].rows];

  // What a reader sees of a cell, on one line.
  function textOf(cell) {
    const copy = cell.cloneNode(true);
    for (const part of copy.querySelectorAll("[aria-hidden=true], svg, .hidden-text")) part.remove();
    return copy.textContent.replace(/\s+/g, " ").trim();
  }

  // Numbers before texts, blanks last; equal values keep the order in which they were.
  function compare(one, other, isDescending) {
    if (one === "" || other === "") return Number(one === "") - Number(other === "");
    const [left, right] = [Number(one), Number(other)];
    const kinds = Number(Number.isNaN(left)) - Number(Number.isNaN(right));
    const order = kinds || (Number.isNaN(left) ? one.localeCompare(other) : left - right);
    return isDescending ? -order : order;
  }

  function sortRows(table, column, isDescending) {
    const value = (row) => cellOf(row, column)?.dataset.value ?? "";
    const rows = rowsOf(table).map((row) => [value(row), row]);
    rows.sort((a, b) => compare(a[0], b[0], isDescending));
    table.tBodies[0].append(...rows.map(([, row]) => row));
    table.classList.toggle("is-resorted", column !== table.dataset.order);
  }

  function onSort(button) {
    const header = button.closest("th");
    const table = button.closest("table");
    const state = header.getAttribute("aria-sort");
    const isDescending = state ? state === "ascending" : button.dataset.descends === "yes";
    for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
    sortRows(table, button.dataset.sort, isDescending);
  }

  function filterRows(table, words) {
    let n = 0;
    for (const row of rowsOf(table)) {
      const text = [...row.cells].map((cell) => cell.dataset.value ?? "").join(" ").toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      n += Number(!row.hidden);
    }
    return n;
  }

  const wordsOf = (input) => input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const say = (table, text) => {
    const status = document.querySelector(`[data-status="${table.id}"]`);
    if (status) status.textContent = text;
  };

  function onFilter(input) {
    const table = document.getElementById(input.dataset.filter);
    const words = wordsOf(input);
    const n = filterRows(table, words);
    say(table, words.length ? `${n} of ${rowsOf(table).length} shown` : "");
  }

  // Applies the present order and filter again, after a script changed cells.
  PACEBENCH.refreshTable = (id = "leaderboard") => {
    const table = document.getElementById(id);
    const header = table.tHead.querySelector("[aria-sort]");
    if (header) sortRows(table, header.dataset.column, header.getAttribute("aria-sort") === "descending");
    const input = document.querySelector(`[data-filter="${id}"]`);
    if (input) filterRows(table, wordsOf(input));
  };

  function cellsToCopy(table, read) {
    const columns = [...table.tHead.rows[0].cells].filter((cell) => cell.querySelector("[data-sort]"));
    const shown = rowsOf(table).filter((row) => row.getClientRects().length);
    const rows = shown.map((row) => columns.map((c) => read(cellOf(row, c.dataset.column))));
    return [columns.map(textOf), rows];
  }

  function asMarkdown(table) {
    const escaped = (text) => text.replace(/[\\`*_{}[\]<>|#]/g, "\\$&");
    const [header, rows] = cellsToCopy(table, textOf);
    const lines = [header, header.map(() => "---"), ...rows.map((row) => row.map(escaped))];
    return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n") + "\n";
  }

  function asCsv(table) {
    const quoted = (text) => {
      const isNumber = text !== "" && !Number.isNaN(Number(text));
      const harmless = !isNumber && /^[=+\-@\t]/.test(text) ? `'${text}` : text; // no formula for a spreadsheet
      return /[",\n\r]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
    };
    const [header, rows] = cellsToCopy(table, (cell) => cell.dataset.value ?? textOf(cell));
    return [header, ...rows].map((cells) => cells.map(quoted).join(",") + "\n").join("");
  }

  async function toClipboard(text) {
    if (navigator.clipboard) {
      try {
        await navigator.clipboard.writeText(text);
        return true;
      } catch (error) {
        if (!(error instanceof DOMException)) throw error; // refused: the old way below may work
      }
    }
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const isDone = document.execCommand("copy");
    area.remove();
    return isDone;
  }

  async function onCopy(button) {
    const table = document.getElementById(button.dataset.table);
    const text = button.dataset.copy === "csv" ? asCsv(table) : asMarkdown(table);
    const isDone = await toClipboard(text);
    say(table, isDone ? `Copied as ${button.dataset.copy === "csv" ? "CSV" : "Markdown"}` : "The browser refused to copy");
    button.focus();
  }

  function showTheme(button) {
    const isDark = PACEBENCH.theme.isDark();
    button.textContent = isDark ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark ? "Use light colours" : "Use dark colours");
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button");
    if (!button) return;
    if (button.dataset.sort) onSort(button);
    else if (button.dataset.copy) onCopy(button);
    else if (button.dataset.action === "theme") PACEBENCH.theme.choose(PACEBENCH.theme.isDark() ? "light" : "dark");
  });
  document.addEventListener("input", (event) => {
    if (event.target.dataset?.filter) onFilter(event.target);
  });
  for (const element of document.querySelectorAll("[data-needs-script]")) element.hidden = false;
  for (const button of document.querySelectorAll("[data-action=theme]")) {
    button.hidden = false;
    showTheme(button);
    document.addEventListener("pacebench-theme", () => showTheme(button));
  }
})();
