"use strict";
(() => {
  const body = document.querySelector("tbody");
  const heads = [...document.querySelectorAll("thead th")];
  const names = new Intl.Collator(undefined, {numeric: true});
  const text = row => row.cells[0].textContent;
  const number = (row, column) => Number(row.cells[column].dataset.v);
  const sort = (column, down) => {
    const rows = [...body.rows].filter(row => !row.classList.contains("up"));
    rows.sort((a, b) => {
      const folders = a.dataset.f - b.dataset.f;
      const order = column ? number(a, column) - number(b, column) : names.compare(text(a), text(b));
      return folders || (down ? -order : order) || names.compare(text(a), text(b));
    });
    body.append(...rows);
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      sort(column, down);
    });
  });
})();
