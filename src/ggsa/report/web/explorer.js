// The attention explorer. Reads the JSON beside it and changes nothing outside #explorer.
// A "query" is the piece that looks, a "key" one that is looked at.
(() => {
  "use strict";
  const root = document.getElementById("explorer");
  if (!root) return;
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const control = (name) => root.querySelector(`select[name="${name}"]`);
  const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}%`;
  const state = { chosen: 0, view: null };

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  // What the four controls ask for, with one function for permission and one for weight.
  function chosenView() {
    const [number, mode, layer, head] =
      ["sentence", "mode", "layer", "head"].map((name) => control(name).value);
    const sentence = data.sentences[number];
    const size = sentence.pieces.length;
    const heads = data.weights[mode][number][layer];
    const used = head === "mean" ? heads : [heads[head]];
    const weight = (query, key) =>
      used.reduce((sum, one) => sum + one[query * size + key], 0) / used.length / data.unit;
    const allowed = (query, key) => data.allowed[mode][number][query][key] === "1";
    const places = [...sentence.pieces.keys()];
    const rows = places.map((query) => places.map((key) => weight(query, key)));
    const named = ["mode", "layer", "head"].map((name) => control(name).selectedOptions[0].text);
    return { sentence, size, rows, allowed, colors: data.modes.find((one) => one.name === mode),
      top: Math.max(...rows.flat()), label: `Mode ${named.join(", ")}` };
  }

  function build() {
    const view = (state.view = chosenView());
    state.chosen = Math.min(state.chosen, view.size - 1);
    root.style.setProperty("--light", view.colors.light);
    root.style.setProperty("--dark", view.colors.dark);
    part("pieces").replaceChildren(...view.sentence.pieces.map((piece, i) =>
      element("button", { type: "button", role: "radio", class: "piece", "data-query": i },
        element("span", { class: "text" }, piece),
        element("span", { class: "tag" }, view.sentence.tags[i]),
        element("span", { class: "share" }),
        element("span", { class: "bar" }))));
    part("matrix").replaceChildren(head(view), body(view));
    part("caption").textContent = `“${view.sentence.text}” ${view.label}, seed ${data.seed}. ` +
      "Rows are queries, columns are keys; a number is the percentage of the row’s attention, rounded. " +
      "Hatched: blocked.";
    select(state.chosen);
  }

  function head({ sentence }) {
    const names = sentence.pieces.map((piece) =>
      element("th", { scope: "col" }, element("span", {}, piece)));
    return element("thead", {}, element("tr", {}, element("td"), ...names));
  }

  function body({ sentence, rows, allowed, top }) {
    return element("tbody", {}, ...rows.map((weights, query) =>
      element("tr", { "data-query": query },
        element("th", { scope: "row" }, sentence.pieces[query]),
        ...weights.map((weight, key) => {
          const title = `${sentence.pieces[query]} → ${sentence.pieces[key]}: `;
          if (!allowed(query, key)) {
            return element("td", { class: "blocked", title: `${title}blocked` },
              element("span", { class: "unseen" }, "blocked"));
          }
          return element("td", { class: "allowed", title: title + percent(weight),
            style: `--share:${(weight / top).toFixed(3)}` }, percent(weight, 0).slice(0, -1));
        }))));
  }

  // Show which pieces a piece may attend to, and how much: in the row of pieces and in the matrix.
  function show(query) {
    const { sentence, rows, allowed } = state.view;
    const top = Math.max(...rows[query]);
    part("pieces").querySelectorAll(".piece").forEach((piece, key) => {
      const may = allowed(query, key);
      const share = rows[query][key];
      piece.dataset.state = may ? "allowed" : "blocked";
      piece.classList.toggle("looks", key === query);
      piece.style.setProperty("--share", may && top ? (share / top).toFixed(3) : 0);
      piece.querySelector(".share").textContent = may ? percent(share) : "blocked";
      piece.setAttribute("aria-label", `${sentence.pieces[key]}, ${sentence.tags[key]}, ` +
        (may ? `gets ${percent(share)}` : "blocked"));
    });
    part("matrix").querySelectorAll("tbody tr").forEach((row, i) =>
      row.classList.toggle("looks", i === query));
    part("said").textContent = sentenceOn(query);
  }

  function sentenceOn(query) {
    const { sentence, rows, allowed, size } = state.view;
    const keys = rows[query].map((share, key) => ({ share, key }))
      .filter(({ key }) => allowed(query, key));
    const most = [...keys].sort((a, b) => b.share - a.share).slice(0, 3)
      .map(({ share, key }) => `“${sentence.pieces[key]}” ${percent(share)}`);
    return `“${sentence.pieces[query]}” (${sentence.tags[query]}) may attend to ${keys.length} of ` +
      `${size} pieces, itself included; most of its attention goes to ${most.join(", ")}.`;
  }

  function select(query) {
    state.chosen = query;
    part("pieces").querySelectorAll(".piece").forEach((piece, i) => {
      piece.setAttribute("aria-checked", String(i === query));
      piece.tabIndex = i === query ? 0 : -1;
    });
    show(query);
  }

  function queryOf(event) {
    const found = event.target.closest("[data-query]");
    return found ? Number(found.dataset.query) : null;
  }

  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  part("pieces").addEventListener("keydown", (event) => {
    const { size } = state.view;
    let to = null;
    if (event.key in steps) to = (state.chosen + steps[event.key] + size) % size;
    if (event.key === "Home") to = 0;
    if (event.key === "End") to = size - 1;
    if (to === null) return;
    event.preventDefault();
    select(to);
    part("pieces").children[to].focus();
  });
  for (const name of ["pieces", "matrix"]) {
    part(name).addEventListener("click", (event) => {
      const query = queryOf(event);
      if (query !== null) select(query);
    });
    part(name).addEventListener("mouseover", (event) => {
      const query = queryOf(event);
      if (query !== null) show(query);
    });
    part(name).addEventListener("mouseleave", () => show(state.chosen));
  }
  root.addEventListener("change", build);
  // Open on the first piece of a word that may not attend everything, if there is one.
  const first = chosenView();
  state.chosen = Math.max(0, first.rows.findIndex((row, query) =>
    !first.sentence.tags[query].startsWith("[") &&
    row.some((_, key) => !first.allowed(query, key))));
  build();
  part("body").hidden = false;
})();
