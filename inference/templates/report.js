(() => {
  "use strict";
  // Browsers that cannot show what is folded by style alone get it unfolded to print.
  let unfolded = [];
  addEventListener("beforeprint", () => {
    unfolded = Array.from(document.querySelectorAll("details:not([open])"));
    for (const folded of unfolded) folded.open = true;
  });
  addEventListener("afterprint", () => {
    for (const folded of unfolded) folded.open = false;
  });

  const table = document.getElementById("alerts");
  if (!table) return;
  const FIRST = 25;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const words = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const find = document.getElementById("find");
  const shown = document.getElementById("shown");
  const more = document.getElementById("more");
  let all = rows.length <= FIRST;

  const show = () => {
    const asked = find.value.trim().toLowerCase();
    let matching = 0;
    let visible = 0;
    for (const row of body.rows) {
      const matches = words.get(row).includes(asked);
      matching += matches;
      row.hidden = !matches || (!all && !asked && visible >= FIRST);
      visible += !row.hidden;
    }
    shown.textContent = asked
      ? `${matching} of ${rows.length} match`
      : all ? "" : `the first ${visible} of ${rows.length}`;
    more.hidden = all || asked !== "";
  };

  const value = (row, column, kind) => {
    const cell = row.cells[column];
    return kind === "number" ? Number(cell.dataset.value ?? NaN) : cell.textContent.trim();
  };

  // A number that is missing goes last, whichever way the column is sorted.
  const compare = (a, b, kind) => {
    if (kind === "text") return a.localeCompare(b, "en", { numeric: true });
    return a - b;
  };

  const sort = (heading) => {
    const kind = heading.dataset.sort;
    const column = heading.cellIndex;
    const descending = heading.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const keyed = rows.map((row) => [value(row, column, kind), row]);
    const absent = keyed.filter(([key]) => Number.isNaN(key));
    const present = keyed.filter(([key]) => !Number.isNaN(key));
    present.sort(([a], [b]) => (descending ? -1 : 1) * compare(a, b, kind));
    body.append(...present.concat(absent).map(([, row]) => row));
    show();
  };

  for (const heading of table.tHead.querySelectorAll("[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.addEventListener("click", () => sort(heading));
    heading.replaceChildren(button);
  }
  // A link to a row that is folded away unfolds the list first.
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target || !target.hidden || !body.contains(target)) return;
    all = true;
    find.value = "";
    show();
    target.scrollIntoView();
  };
  find.form.addEventListener("submit", (event) => event.preventDefault());
  find.addEventListener("input", show);
  more.textContent = `Show all ${rows.length}`;
  more.addEventListener("click", () => { all = true; show(); });
  addEventListener("hashchange", reveal);
  find.form.hidden = false;
  show();
  reveal();
})();
