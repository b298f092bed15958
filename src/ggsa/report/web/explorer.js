// What the explorer and the playground share: elements, and a view that is kept in the address.
const instrument = {
  element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  },

  // The settings in the address (#mode=hard&query=4); none if it names an anchor of the page.
  settings() {
    const pairs = location.hash.slice(1).split("&").filter((pair) => pair.includes("="));
    return Object.fromEntries(pairs.map((pair) => {
      const [key, ...value] = pair.split("=");
      try {
        return [key, decodeURIComponent(value.join("="))];
      } catch {
        return [key, ""]; // a percent sign without its digits
      }
    }));
  },

  keep(settings) {
    const written = Object.entries(settings).map(([key, value]) =>
      `${key}=${encodeURIComponent(value).replace(/%(2C|3E|2B)/g, decodeURIComponent)}`);
    history.replaceState(null, "", `#${written.join("&")}`);
  },

  copies(button, text) {
    const label = button.textContent;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text());
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not allowed here";
      }
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  },
};

// The attention explorer. Reads the JSON beside it and changes nothing outside #explorer.
// A "query" is the piece that attends, a "key" one that is attended to.
(() => {
  "use strict";
  const root = document.getElementById("explorer");
  if (!root) return;
  const { element } = instrument;
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const control = (name) => root.querySelector(`select[name="${name}"]`);
  const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}%`;
  const SELECTS = ["sentence", "mode", "with", "layer", "head"];
  const state = { chosen: 0, sentence: null, views: [] };

  // One mode under the other controls, with one function for permission and a weight for each pair.
  function viewOf(mode) {
    const [number, layer, head] = ["sentence", "layer", "head"].map((name) => control(name).value);
    const size = data.sentences[number].pieces.length;
    const heads = data.weights[mode][number][layer];
    const used = head === "mean" ? heads : [heads[head]];
    const weight = (query, key) =>
      used.reduce((sum, one) => sum + one[query * size + key], 0) / used.length / data.unit;
    const places = [...Array(size).keys()];
    return { mode, size, rows: places.map((query) => places.map((key) => weight(query, key))),
      allowed: (query, key) => data.allowed[mode][number][query][key] === "1",
      colors: data.modes.find((one) => one.name === mode) };
  }

  const colored = (node, { light, dark }) => {
    node.style.setProperty("--light", light);
    node.style.setProperty("--dark", dark);
    return node;
  };

  function build() {
    const modes = [control("mode").value, control("with").value];
    state.sentence = data.sentences[control("sentence").value];
    state.views = [...new Set(modes)].filter((mode) => mode !== "none").map(viewOf);
    state.chosen = Math.min(state.chosen, state.views[0].size - 1);
    colored(root, state.views[0].colors);
    part("legend").replaceChildren(...state.views.map(({ mode, colors }, i) => colored(
      element("span", {}, element("span", { class: "swatch" }),
        `${["Upper", "Lower"][i]} row: ${mode}`), colors)),
      element("span", {}, element("span", { class: "swatch blocked" }), "Hatched: blocked"),
      element("span", {}, "A bar is a share of the query’s attention."));
    part("pieces").replaceChildren(...state.sentence.pieces.map((piece, i) =>
      element("button", { type: "button", role: "radio", class: "piece", "data-query": i },
        element("span", { class: "text" }, piece),
        element("span", { class: "tag" }, state.sentence.tags[i]),
        ...state.views.map(({ colors }) => colored(element("span", { class: "of" },
          element("span", { class: "share" }), element("span", { class: "bar" })), colors)))));
    part("matrix").replaceChildren(head(state.sentence), body(state.sentence, state.views[0]));
    const named = ["mode", "layer", "head"].map((name) => control(name).selectedOptions[0].text);
    part("caption").textContent = `“${state.sentence.text}” Mode ${named.join(", ")}, seed ` +
      `${data.seed}. Rows are queries, columns are keys. A shade, and in percent the number where ` +
      "there is space for one, is a share of the row’s attention. Hatched: blocked.";
    select(state.chosen);
  }

  function head({ pieces }) {
    const names = pieces.map((piece) => element("th", { scope: "col" }, element("span", {}, piece)));
    return element("thead", {}, element("tr", {}, element("td"), ...names));
  }

  function body({ pieces }, { rows, allowed }) {
    const top = Math.max(...rows.flat());
    const cell = (query, weight, key) => {
      const title = `${pieces[query]} → ${pieces[key]}: `;
      return allowed(query, key)
        ? element("td", { class: "allowed", title: title + percent(weight),
          style: `--share:${(weight / top).toFixed(3)}` },
        element("span", { class: "number" }, percent(weight, 0).slice(0, -1)))
        : element("td", { class: "blocked", title: `${title}blocked` },
          element("span", { role: "img", "aria-label": `${title}blocked` }));
    };
    return element("tbody", {}, ...rows.map((weights, query) =>
      element("tr", { "data-query": query },
        element("th", { scope: "row" }, pieces[query]),
        ...weights.map((weight, key) => cell(query, weight, key)))));
  }

  // Show which pieces a piece may attend to, and how much: in the row of pieces and in the matrix.
  function show(query) {
    const { pieces, tags } = state.sentence;
    // One scale for both modes, so that their bars can be compared.
    const top = Math.max(...state.views.flatMap(({ rows }) => rows[query]));
    part("pieces").querySelectorAll(".piece").forEach((piece, key) => {
      const given = state.views.map(({ mode, rows, allowed }, i) => {
        const may = allowed(query, key);
        const share = may ? percent(rows[query][key]) : "blocked";
        const half = piece.querySelectorAll(".of")[i];
        half.dataset.state = may ? "allowed" : "blocked";
        half.style.setProperty("--share", may && top ? (rows[query][key] / top).toFixed(3) : 0);
        half.querySelector(".share").textContent = may ? share : "";
        return `${may ? `gets ${share}` : share} in ${mode}`;
      });
      piece.dataset.state = piece.querySelector(".of").dataset.state;
      piece.classList.toggle("looks", key === query);
      piece.setAttribute("aria-label", `${pieces[key]}, ${tags[key]}, ${given.join(", ")}`);
    });
    part("matrix").querySelectorAll("tbody tr").forEach((row, i) =>
      row.classList.toggle("looks", i === query));
    const clauses = state.views.map((view) => reach(view, query));
    part("said").textContent = `“${pieces[query]}” (${tags[query]}) may attend ` +
      `${clauses.join(" It may attend ")}`;
  }

  function reach({ mode, rows, allowed, size }, query) {
    const { pieces } = state.sentence;
    const keys = rows[query].map((share, key) => ({ share, key }))
      .filter(({ key }) => allowed(query, key));
    if (keys.length === 1) return `only to itself in ${mode}.`;
    const most = [...keys].sort((a, b) => b.share - a.share).slice(0, 3)
      .map(({ share, key }) => `“${pieces[key]}” ${percent(share)}`);
    return `to ${keys.length} of ${size} pieces in ${mode}, itself included; its largest ` +
      `weights are ${most.join(", ")}.`;
  }

  function select(query) {
    state.chosen = query;
    part("pieces").querySelectorAll(".piece").forEach((piece, i) => {
      piece.setAttribute("aria-checked", String(i === query));
      piece.tabIndex = i === query ? 0 : -1;
    });
    show(query);
  }

  // The view as it is written in the address, where everything is counted from 1.
  const shifted = (value, by) => (/^\d+$/.test(value) ? String(Number(value) + by) : value);
  const settings = () => Object.fromEntries([
    ...SELECTS.map((name) => [name, shifted(control(name).value, 1)]), ["query", state.chosen + 1]]);
  const keep = () => instrument.keep(settings());

  // Show the view in the address, as far as there is one.
  function restore() {
    const given = instrument.settings();
    if (![...SELECTS, "query"].some((name) => name in given)) return;
    for (const name of SELECTS) {
      const value = shifted(given[name] ?? "", -1);
      if ([...control(name).options].some((option) => option.value === value)) {
        control(name).value = value;
      }
    }
    const query = Number(given.query);
    const { pieces } = data.sentences[control("sentence").value];
    if (Number.isInteger(query) && query >= 1 && query <= pieces.length) state.chosen = query - 1;
    build();
    root.scrollIntoView();
  }

  // Open on the word that the page is about; or else on the first piece of a word that may not
  // attend to everything.
  function open() {
    const { pieces, tags } = data.sentences[control("sentence").value];
    const { rows, allowed } = viewOf(control("mode").value);
    const limited = rows.findIndex((row, query) =>
      !tags[query].startsWith("[") && row.some((_, key) => !allowed(query, key)));
    state.chosen = Math.max(0, pieces.includes(data.word) ? pieces.indexOf(data.word) : limited);
    build();
  }

  function queryOf(event) {
    const found = event.target.closest("[data-query]");
    return found ? Number(found.dataset.query) : null;
  }

  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  part("pieces").addEventListener("keydown", (event) => {
    const { size } = state.views[0];
    let to = null;
    if (event.key in steps) to = (state.chosen + steps[event.key] + size) % size;
    if (event.key === "Home") to = 0;
    if (event.key === "End") to = size - 1;
    if (to === null) return;
    event.preventDefault();
    select(to);
    keep();
    part("pieces").children[to].focus();
  });
  for (const name of ["pieces", "matrix"]) {
    part(name).addEventListener("click", (event) => {
      const query = queryOf(event);
      if (query === null) return;
      select(query);
      keep();
    });
    part(name).addEventListener("mouseover", (event) => {
      const query = queryOf(event);
      if (query !== null) show(query);
    });
    part(name).addEventListener("mouseleave", () => show(state.chosen));
  }
  root.addEventListener("change", ({ target }) => {
    // A mode is not compared with itself: the two change places.
    const before = state.views[0].mode;
    if (target.name === "mode" && target.value === control("with").value) {
      control("with").value = before;
    }
    build();
    keep();
  });
  instrument.copies(part("copy"), () => {
    keep();
    return location.href;
  });
  addEventListener("hashchange", restore);
  part("body").hidden = false;
  open();
  restore();
})();
