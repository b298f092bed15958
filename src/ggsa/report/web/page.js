// The toggle between light and dark, and contents that fold where the screen is narrow.
(() => {
  "use strict";
  const KEY = "ggsa-theme";
  const root = document.documentElement;
  const toggle = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const label = () => {
    toggle.textContent = isDark() ? "Light page" : "Dark page";
  };
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem(KEY, root.dataset.theme);
    } catch {
      // Where nothing may be stored, the choice lasts as long as the page is open.
    }
    label();
  });
  system.addEventListener("change", label);
  toggle.hidden = false;
  label();

  const contents = document.getElementById("contents");
  if (!contents) return;
  const wide = matchMedia("(min-width: 64rem)");
  const fold = () => {
    contents.open = wide.matches;
  };
  wide.addEventListener("change", fold);
  fold();
  contents.addEventListener("click", (event) => {
    if (event.target.closest("a") && !wide.matches) contents.open = false;
  });
})();

// Tables: sorted by a click on a heading, filtered, saved as CSV, and never wider than the page.
// Where a table is too wide, its middle columns are hidden; on demand, every row becomes a card.
(() => {
  "use strict";
  const LONG = 12; // rows from which a table can be filtered
  const FEWEST = 3; // columns that stay beside one another
  const number = (text) => {
    const found = text.replace(/[−–]/g, "-").replace(/,(?=\d{3})/g, "").match(/^[<>\s]*[-+]?\d*\.?\d+/);
    return found ? Number(found[0].replace(/[<>\s]/g, "")) : NaN;
  };
  const button = (text, action) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", action);
    return made;
  };

  function sort(table, column, heading) {
    const down = heading.getAttribute("aria-sort") === "ascending";
    table.querySelectorAll("th[aria-sort]").forEach((one) => one.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const value = (row) => row.cells[column].textContent.trim();
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      const [p, q] = [number(x), number(y)];
      if (isNaN(p) !== isNaN(q)) return isNaN(p) ? 1 : -1; // no number: last, either way
      const order = isNaN(p) ? x.localeCompare(y) : p - q;
      return down ? -order : order;
    });
    body.append(...rows);
  }

  function save(table, name) {
    const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const lines = [...table.rows].map((row) =>
      [...row.cells].map((cell) => quoted(cell.textContent.trim())).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
    link.download = `${name}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  function filter(table) {
    const field = document.createElement("input");
    field.type = "search";
    field.placeholder = "Filter rows";
    field.setAttribute("aria-label", "Filter rows");
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLowerCase();
      for (const row of table.tBodies[0].rows) {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
      }
    });
    return field;
  }

  for (const box of document.querySelectorAll("div.table")) {
    const table = box.querySelector("table");
    const frame = box.querySelector(".wide");
    const source = box.querySelector(".source");
    const headings = [...table.tHead.rows[0].cells];
    const shown = { all: false };
    headings.forEach((heading, column) => {
      const name = heading.textContent;
      heading.replaceChildren(button(name, () => sort(table, column, heading)));
      for (const row of table.tBodies[0].rows) row.cells[column].dataset.label = name;
    });
    const tools = document.createElement("p");
    tools.className = "tools";
    if (table.tBodies[0].rows.length >= LONG) tools.append(filter(table));
    const more = button("All columns", () => {
      shown.all = !shown.all;
      fit();
    });
    tools.append(more);
    frame.before(tools);
    source?.prepend(button("CSV", () => save(table, table.id.replace(/^T_/, ""))), ", ");

    // Others go first, from right to left; the first column names the row.
    const main = headings.map((heading, column) => !column || heading.classList.contains("main"));
    const order = headings.map((_, column) => column).reverse()
      .sort((a, b) => main[a] - main[b]).filter((column) => column);
    const hide = (column, hidden) => {
      for (const row of table.rows) row.cells[column].classList.toggle("extra", hidden);
    };
    const overflows = () => table.offsetWidth > frame.clientWidth;
    function fit() {
      table.classList.remove("cards");
      headings.forEach((_, column) => hide(column, false));
      let hidden = 0;
      for (const column of order) {
        if (!overflows() || headings.length - hidden <= FEWEST) break;
        hide(column, true);
        hidden++;
      }
      more.hidden = !hidden;
      more.textContent = shown.all ? "Fewer columns" : "All columns";
      if (hidden && shown.all) headings.forEach((_, column) => hide(column, false));
      table.classList.toggle("cards", (hidden > 0 && shown.all) || overflows());
      tools.hidden = !tools.querySelector("input") && more.hidden;
    }
    new ResizeObserver(fit).observe(frame);
    box.closest("details")?.addEventListener("toggle", fit);
    fit();
  }
})();
