// Sorting and filtering. The page is complete without it, in the order of the records.
"use strict";

(() => {
  const NUMBER = /^[<>~]?\s*([+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)/i;
  const NUMBERS = 0;
  const WORDS = 1;
  const MISSING = 2;

  // The sort key of a cell: its first number, its words, or nothing.
  const keyOf = (cell, numeric) => {
    const text = cell.textContent.trim();
    if (text === "" || text === "-") return { kind: MISSING };
    const match = numeric && text.match(NUMBER);
    return match ? { kind: NUMBERS, number: Number(match[1].replaceAll(",", "")) } : { kind: WORDS, text };
  };

  const compare = (a, b, direction) => {
    // Numbers, then words, then missing values, in either direction.
    if (a.kind !== b.kind) return a.kind - b.kind;
    if (a.kind === NUMBERS) return direction * (a.number - b.number);
    if (a.kind === WORDS) return direction * a.text.localeCompare(b.text, "en", { numeric: true });
    return 0;
  };

  const makeSortable = (table) => {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const headers = [...table.tHead.rows[0].cells];
    headers.forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        // Ascending, descending, and back to the order of the records.
        const direction = { null: 1, ascending: -1, descending: 0 }[header.getAttribute("aria-sort")];
        headers.forEach((other) => other.removeAttribute("aria-sort"));
        const rows = [...original];
        if (direction) {
          header.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
          const numeric = header.dataset.kind === "number";
          const keys = new Map(rows.map((row) => [row, keyOf(row.cells[column], numeric)]));
          rows.sort((a, b) => compare(keys.get(a), keys.get(b), direction));
        }
        body.append(...rows);
      });
    });
  };

  const tables = [...document.querySelectorAll("table.rows")];
  tables.forEach(makeSortable);

  const form = document.querySelector("#filter");
  const box = form.querySelector("input");
  const count = form.querySelector("output");
  const filter = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    let all = 0;
    for (const table of tables) {
      const before = left;
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        left += !row.hidden;
        all += 1;
      }
      const folded = table.closest("details");
      if (words.length && folded && left > before) folded.open = true;
    }
    count.textContent = words.length ? `${left} of ${all} rows` : `${all} rows`;
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  box.addEventListener("input", filter);
  form.hidden = false;
  filter();
})();
