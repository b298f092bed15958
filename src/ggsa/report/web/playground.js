// The rule playground. Reads the JSON beside it and changes nothing outside #playground. It starts
// when the page is complete, because the explorer's script holds what the two share.
addEventListener("DOMContentLoaded", () => {
  "use strict";
  const root = document.getElementById("playground");
  const { element } = instrument;
  const data = JSON.parse(document.getElementById("playground-data").textContent);
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const example = root.querySelector("select[name=example]");
  const TAGS = data.tags;
  const OPEN = TAGS.length - 2; // the rows and columns after these are fixed: [CLS] and [SEP]
  const places = [...TAGS.keys()];
  const isOpen = (query, key) => query < OPEN && key < OPEN;
  const cells = places.flatMap((query) => places.map((key) => [query, key]));
  const openCells = cells.filter(([query, key]) => isOpen(query, key));
  const FALLBACK = "NOUN";
  const tagOf = new Map(Object.entries(data.lexicon).flatMap(([tag, words]) =>
    words.split(" ").filter(Boolean).map((word) => [word, tag])));

  // Tables: which query tags (rows) may attend to which key tags (columns).
  const tableOf = (allows) => places.map((query) => places.map((key) =>
    (isOpen(query, key) ? allows(query, key) : Boolean(data.fixed[TAGS[query]]?.[key]))));
  const paperWith = (self) => tableOf((query, key) =>
    (query === key && self) || Boolean(data.paper[TAGS[query]]?.includes(TAGS[key])));
  const differing = (from, to) =>
    openCells.filter(([query, key]) => to[query][key] && !from[query][key]);
  const rule = ([query, key], arrow = "->") => `${TAGS[query]}${arrow}${TAGS[key]}`;

  const PAPER = paperWith(true);
  const state = { self: true, table: PAPER, words: [] };

  const sum = (values) => values.reduce((total, value) => total + value, 0);

  // The same count as in Python: the pairs that a table allows, and every piece with itself.
  function density(table, { pairs, pieces }) {
    const allowed = sum(cells.map(([query, key]) => (table[query][key] ? pairs[query][key] : 0)));
    const alone = sum(places.map((tag) => (table[tag][tag] ? 0 : pieces[tag])));
    return (allowed + alone) / sum(pairs.flat());
  }

  const keeps = (table, tags, query, key) => query === key || table[tags[query]][tags[key]];

  function densityOfSentence(table, tags) {
    const kept = tags.flatMap((_, query) => tags.filter((_, key) => keeps(table, tags, query, key)));
    return kept.length / tags.length ** 2;
  }

  // The sentence: pieces, and the number of the tag of each.
  function sentence() {
    const { pieces, tags } = example.value === "own"
      ? { pieces: ["[CLS]", ...state.words.map(({ word }) => word), "[SEP]"],
        tags: ["[CLS]", ...state.words.map(({ tag }) => tag), "[SEP]"] }
      : data.sentences[example.value];
    return { pieces, tags: tags.map((tag) => TAGS.indexOf(tag)) };
  }

  const split = (text) => (text.replace(/’/g, "'").replace(/(\w)n't\b/gi, "$1 n't")
    .replace(/(\w)'(s|re|ve|ll|d|m)\b/gi, "$1 '$2")
    .match(/n't|'(?:s|re|ve|ll|d|m)\b|[\p{L}\p{N}]+(?:[-'.][\p{L}\p{N}]+)*|[^\s\p{L}\p{N}]/giu) ?? [])
    .slice(0, data.most_words);

  function guess(word) {
    const known = tagOf.get(word.toLowerCase());
    if (known) return known;
    if (/^\p{N}/u.test(word)) return "NUM";
    return /^[^\p{L}]/u.test(word) ? "PUNCT" : FALLBACK;
  }

  // A word keeps a corrected tag as long as it stays in its place.
  function readText() {
    const before = state.words;
    state.words = split(part("text").value).map((word, i) => (before[i]?.word === word
      ? before[i] : { word, tag: guess(word) }));
    part("words").replaceChildren(...state.words.map(({ word, tag }, i) => {
      const options = TAGS.slice(0, OPEN).map((name) => element("option", {}, name));
      const select = element("select", { "data-word": i, "aria-label": `Tag of ${word}` }, ...options);
      select.value = tag;
      const known = tagOf.has(word.toLowerCase()) || guess(word) !== FALLBACK;
      return element("label", { class: known ? "" : "guess" }, element("span", {}, word), select);
    }));
  }

  // The parts that are made once.

  function buildGrid() {
    const names = TAGS.map((tag) => element("th", { scope: "col" }, element("span", {}, tag)));
    const rows = places.map((query) => element("tr", {},
      element("th", { scope: "row" }, TAGS[query]),
      ...places.map((key) => element("td", {}, ...(isOpen(query, key)
        ? [element("button", { type: "button", tabindex: -1, "data-query": query, "data-key": key,
          "aria-label": `${TAGS[query]} may attend to ${TAGS[key]}` })]
        : [element("span", { class: "fixed", "data-on": PAPER[query][key], role: "img", "aria-label":
          `${TAGS[query]} ${PAPER[query][key] ? "always" : "never"} attends to ${TAGS[key]}` })])))));
    part("grid").replaceChildren(
      element("thead", {}, element("tr", {}, element("td"), ...names)),
      element("tbody", {}, ...rows));
    buttonAt(0, 0).tabIndex = 0;
  }

  const buttonAt = (query, key) =>
    part("grid").querySelector(`[data-query="${query}"][data-key="${key}"]`);

  function draw() {
    const { table } = state;
    for (const [query, key] of openCells) {
      const [now, before] = [table[query][key], PAPER[query][key]];
      const button = buttonAt(query, key);
      button.setAttribute("aria-pressed", String(now));
      button.textContent = now === before ? "" : now ? "+" : "−";
    }
    part("self").checked = state.self;
    const shown = sentence();
    part("own").hidden = example.value !== "own";
    drawDensities(shown);
    drawKept(shown);
    drawSettings();
    mark(null);
  }

  function drawDensities({ tags }) {
    const row = (name, now, before) => element("tr", {}, element("th", { scope: "row" }, name),
      element("td", { class: "now" }, element("span", { class: "bar", style: `--share:${now}` }),
        now.toFixed(4)),
      element("td", {}, before.toFixed(4)));
    part("densities").replaceChildren(
      row("this sentence", densityOfSentence(state.table, tags), densityOfSentence(PAPER, tags)),
      ...data.splits.map((one) =>
        row(one.name, density(state.table, one), density(PAPER, one))));
    const now = density(state.table, data.splits[0]);
    const whole = data.attention_share === null ? ""
      : `, and ${(100 * data.attention_share * (1 - now)).toFixed(1)}% of the whole model’s`;
    part("cost").textContent = `Theoretical cost: on ${data.splits[0].name} these rules save ` +
      `${(100 * (1 - now)).toFixed(1)}% of the FLOPs of attention${whole}.`;
  }

  function drawKept({ pieces, tags }) {
    const names = pieces.map((piece) => element("th", { scope: "col" }, element("span", {}, piece)));
    const cell = (query, key) => {
      const may = keeps(state.table, tags, query, key);
      const name = `${pieces[query]} → ${pieces[key]}: ${may ? "allowed" : "blocked"}`;
      return element("td", { class: may ? "allowed" : "blocked", title: name,
        "data-pair": `${tags[query]} ${tags[key]}` }, element("span", { role: "img", "aria-label": name }));
    };
    part("kept").replaceChildren(
      element("thead", {}, element("tr", {}, element("td"), ...names)),
      element("tbody", {}, ...pieces.map((piece, query) => element("tr", {},
        element("th", { scope: "row" }, element("span", { class: "text" }, piece), " ",
          element("span", { class: "tag" }, TAGS[tags[query]].replace(/^\[.*/, ""))),
        ...pieces.map((_, key) => cell(query, key))))));
  }

  // What differs from params.yaml.
  function changes() {
    const base = paperWith(state.self);
    return { drop: differing(state.table, base), add: differing(base, state.table) };
  }

  function drawSettings() {
    const { drop, add } = changes();
    const list = (rules, quote) => `[${rules.map((one) => quote + rule(one) + quote).join(quote ? "," : ", ")}]`;
    part("settings").hidden = state.self && !drop.length && !add.length;
    part("yaml").textContent = ["rules:", ...(state.self ? [] : ["  self: false"]),
      `  drop: ${list(drop, "")}`, `  add: ${list(add, "")}`].join("\n");
    const set = [state.self ? "" : "rules.self=false",
      drop.length ? `rules.drop=${list(drop, '"')}` : "", add.length ? `rules.add=${list(add, '"')}` : ""];
    const text = set.filter(Boolean).join(" ");
    part("command").textContent = text ? `make experiment SET='${text}'` : "make repro";
  }

  // Changes, each of which draws and keeps the view in the address.

  function change(table, self, said) {
    Object.assign(state, { table, self });
    draw();
    if (said) part("said").textContent = said;
    keep();
  }

  function toggle(query, key) {
    const now = !state.table[query][key];
    const table = state.table.map((row, i) =>
      row.map((may, j) => (i === query && j === key ? now : may)));
    change(table, state.self);
    mark([query, key]);
    part("said").textContent = `${TAGS[query]} may ${now ? "now" : "no longer"} attend to ` +
      `${TAGS[key]}. Density on ${data.splits[0].name}: ` +
      `${density(table, data.splits[0]).toFixed(4)}.`;
  }

  // Show what a rule is about: its row and column, its pairs in the sentence, and how many.
  function mark(cell) {
    const [query, key] = cell ?? [-1, -1];
    part("grid").querySelectorAll("th").forEach((heading, i) =>
      heading.classList.toggle("looks", Boolean(cell) && (i === key || i === TAGS.length + query)));
    part("kept").querySelectorAll("td[data-pair]").forEach((one) =>
      one.classList.toggle("looks", one.dataset.pair === `${query} ${key}`));
    if (!cell) {
      part("said").textContent = "Point at a rule to see which pairs of pieces it governs.";
      return;
    }
    const { pairs } = data.splits[0];
    const share = (100 * pairs[query][key]) / sum(pairs.flat());
    const source = query === key ? "own tag" : PAPER[query][key] ? "a rule of the paper"
      : "not a rule of the paper";
    part("said").textContent = `${rule(cell, " → ")}: ` +
      `${state.table[query][key] ? "allowed" : "blocked"}, ${source}; ${share.toFixed(2)}% of the ` +
      `pairs on ${data.splits[0].name}.`;
  }

  // The view in the address: changes of the rules, and the sentence.

  const tagsOf = (words) => words.map(({ tag }) => tag).join(",");

  function settings() {
    const { drop, add } = changes();
    const rules = [...drop.map((one) => `-${rule(one, ">")}`), ...add.map((one) => `+${rule(one, ">")}`)];
    const own = example.value === "own";
    const guessed = own && tagsOf(state.words) === state.words.map(({ word }) => guess(word)).join(",");
    return {
      rules: rules.join(","),
      ...(state.self ? {} : { self: "off" }),
      ...(own ? { text: part("text").value } : { example: Number(example.value) + 1 }),
      ...(own && !guessed ? { tags: tagsOf(state.words) } : {}),
    };
  }
  const keep = () => instrument.keep(settings());

  function restore() {
    const given = instrument.settings();
    if (!("rules" in given || "text" in given || "example" in given)) return;
    const self = given.self !== "off";
    const table = paperWith(self);
    for (const [, sign, from, to] of (given.rules ?? "").matchAll(/([-+])([A-Z]+)>([A-Z]+)/g)) {
      const [query, key] = [TAGS.indexOf(from), TAGS.indexOf(to)];
      if (query >= 0 && key >= 0) table[query][key] = sign === "+";
    }
    Object.assign(state, { table, self });
    if ("text" in given) {
      example.value = "own";
      part("text").value = given.text;
      state.words = [];
      readText();
      (given.tags ?? "").split(",").forEach((tag, i) => {
        if (state.words[i] && TAGS.indexOf(tag) >= 0 && TAGS.indexOf(tag) < OPEN) state.words[i].tag = tag;
      });
      readText();
    } else if (data.sentences[given.example - 1]) {
      example.value = String(given.example - 1);
    }
    draw();
    root.scrollIntoView();
  }

  const cellOf = ({ target }) => {
    const button = target.closest("[data-key]");
    return button ? [Number(button.dataset.query), Number(button.dataset.key)] : null;
  };
  const moves = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };

  part("grid").addEventListener("click", (event) => {
    const cell = cellOf(event);
    if (cell) toggle(...cell);
  });
  part("grid").addEventListener("keydown", (event) => {
    const cell = cellOf(event);
    const move = moves[event.key];
    if (!cell || !move) return;
    event.preventDefault();
    buttonAt(...cell.map((place, i) => (place + move[i] + OPEN) % OPEN)).focus();
  });
  part("grid").addEventListener("focusin", (event) => {
    const cell = cellOf(event);
    if (!cell) return;
    part("grid").querySelector('[tabindex="0"]').tabIndex = -1;
    event.target.tabIndex = 0;
    mark(cell);
  });
  part("grid").addEventListener("mouseover", (event) => mark(cellOf(event)));
  part("grid").addEventListener("mouseleave", () => mark(null));
  root.querySelectorAll("[data-rules]").forEach((button) => button.addEventListener("click", () => {
    const choices = { paper: PAPER, none: tableOf(() => false), all: tableOf(() => true) };
    const self = button.dataset.rules !== "none";
    change(choices[button.dataset.rules], self);
  }));
  part("self").addEventListener("change", ({ target }) => change(
    tableOf((query, key) => (query === key ? target.checked : state.table[query][key])), target.checked));
  example.addEventListener("change", () => change(state.table, state.self));
  part("text").addEventListener("input", () => {
    readText();
    change(state.table, state.self);
  });
  part("words").addEventListener("change", ({ target }) => {
    state.words[target.dataset.word].tag = target.value;
    change(state.table, state.self);
  });
  instrument.copies(part("copy"), () => {
    keep();
    return location.href;
  });
  addEventListener("hashchange", restore);
  buildGrid();
  readText();
  part("body").hidden = false;
  draw();
  restore();
});
