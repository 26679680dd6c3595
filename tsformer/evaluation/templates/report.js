"use strict";
// A click on a column's head sorts its table: numbers by value, the rest by the alphabet, unknown last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const sign = ascending ? 1 : -1;
      const rows = [...body.rows].map((row) => [row.cells[column].dataset.value, row]);
      rows.sort(([left], [right]) => {
        if (left === "" || right === "") return (left === "") - (right === "");
        const numbers = [Number(left), Number(right)];
        if (numbers.some(Number.isNaN)) return sign * left.localeCompare(right);
        return sign * (numbers[0] - numbers[1]);
      });
      body.append(...rows.map(([, row]) => row));
    });
  });
}
