"""The page around the sections: first screen, contents, methods, deviations, provenance, runs.

Place in the data flow: called by `ggsa.report.rendering` with the HTML of the notebooks. The page
loads nothing from anywhere: styles, scripts (kept in the folder `web`), figures and text are in the
one file, and its content security policy makes the browser refuse anything else.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from nbconvert.filters import markdown2html_mistune

from ggsa.report import progress, tables, wording
from ggsa.workspace import artifacts, paths
from ggsa.workspace.config import Params

WEB = Path(__file__).with_name("web")
STYLES = ("page.css", "explorer.css", "print.css")
SCRIPTS = ("page.js", "explorer.js")
DEVIATIONS = Path("DEVIATIONS.md")
HEADING = re.compile(r'<h([23]) id="([^"]+)"[^>]*>(.*?)</h\1>', re.DOTALL)


def build(params: Params, sections: Mapping[str, str]) -> str:
    """Return the whole page.

    Args:
        params: Those of the run.
        sections: HTML of every notebook by name, in the order of the page.

    Raises:
        UserError: If a table or the provenance is missing.
    """
    provenance = artifacts.read_json(paths.provenance())
    found = {
        name: tables.read(paths.TABLES, name)
        for name in ("results", "runs", "cells", "comparisons", "equivalence", "cost", "claims")
    }
    content = Markup("\n".join(with_anchors(name, text) for name, text in sections.items()))
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(in_line("page.html.j2"))
    page = template.render(
        styles=in_line(*STYLES),
        theme=in_line("theme.js"),
        scripts=in_line(*SCRIPTS),
        banner=banner(params, provenance),
        alarm=wording.alarm(provenance),
        run=run_line(params, provenance),
        rows=verdict_rows(found["results"]),
        rows_note=rows_note(found["results"]),
        abstract=abstract(found, provenance),
        claims=Markup(claims_table(found["claims"])),
        content=content,
        methods=methods(params, provenance, found),
        studies_summary=progress.summary(),
        studies=Markup(studies_table()),
        deviations=Markup(deviations()),
        provenance=Markup(provenance_table(provenance)),
        runs=Markup(runs_table(found["runs"])),
    )
    # The contents are read off the finished page, so that no heading is missing from them.
    return with_contents(page, contents(page))


def in_line(*names: str) -> Markup:
    """Return files of the folder `web`, joined, as they stand."""
    return Markup("\n").join(
        Markup((WEB / name).read_text(encoding="utf-8").rstrip()) for name in names
    )


def with_anchors(name: str, section: str) -> str:
    """Return a section whose headings can be linked to: by its name, and name and heading."""

    def anchored(heading: re.Match[str]) -> str:
        level, title = heading.groups()
        slug = re.sub(r"[^a-z0-9]+", "-", re.sub(r"<[^>]+>", "", title).lower()).strip("-")
        anchor = name if level == "2" else f"{name}-{slug}"
        return f'<h{level} id="{anchor}">{title}</h{level}>'

    return re.sub(r"<h([23])>(.*?)</h\1>", anchored, section, flags=re.DOTALL)


def contents(page: str) -> list[tuple[int, str, str]]:
    """Return (level, anchor, title) of every heading of a page, in order."""
    return [
        (int(level), anchor, re.sub(r"<[^>]+>", "", title).strip())
        for level, anchor, title in HEADING.findall(page)
    ]


def with_contents(page: str, headings: list[tuple[int, str, str]]) -> str:
    """Return the page with its list of contents in the place kept for it."""
    items = "\n".join(
        f'<li class="level{level}"><a href="#{anchor}">{title}</a></li>'
        for level, anchor, title in headings
    )
    return page.replace("<!-- contents -->", f"<ol>\n{items}\n</ol>", 1)


def banner(params: Params, provenance: dict) -> list[str]:
    """Return what must not be missed: other data, substitutes, or other rules than the paper's."""
    sentences = wording.banner(provenance)
    changed = [*(f"{rule} dropped" for rule in params.rules.drop)]
    changed += [f"{rule} added" for rule in params.rules.add]
    if params.rules.source != "paper":
        changed.append("rules derived from the corpus statistics")
    if changed:
        sentences.append(f"The hard table is not the paper’s: {wording.listing(changed)}.")
    return sentences


def run_line(params: Params, provenance: dict) -> str:
    """Return in one sentence what was run on which data."""
    modes = wording.listing(params.grid.modes)
    numbers = wording.listing(str(seed) for seed in params.grid.seeds)
    seeds = "seed" if len(params.grid.seeds) == 1 else "seeds"
    rows = ", ".join(
        f"{split} {wording.count(number)}"
        for split, number in provenance["corpus"]["rows"].items()
        if split != "examples"
    )
    return (
        f"Run: the modes {modes}, each with {seeds} {numbers}, on "
        f"{wording.corpus_name(provenance)}; {wording.encoder_name(provenance)}. Rows: {rows}."
    )


def verdict_rows(results: pd.DataFrame) -> list[dict[str, str]]:
    """Return the lines of the first table: paper, ours, difference, interval and verdict."""
    rows = results[results["split"] == "validation"]
    return [
        {
            "mode": row.mode,
            "paper": wording.accuracy(row.paper),
            "paper_interval": wording.interval(
                row.paper_low, row.paper_high, lambda value: wording.accuracy(value, 3)
            ),
            "ours": with_spread(row.accuracy_mean, row.accuracy_sd),
            "difference": wording.points(row.difference_points),
            "interval": wording.interval(row.prediction_low, row.prediction_high),
            "verdict": row.verdict or wording.NONE,
            "verdict_class": row.verdict.replace(" ", "-"),
        }
        for row in rows.itertuples()
    ]


def with_spread(mean: float, deviation: float) -> str:
    """Return a mean with the standard deviation over seeds, where there is one."""
    spread = "" if wording.is_missing(deviation) else f" ± {wording.accuracy(deviation)}"
    return f"{wording.accuracy(mean)}{spread}"


def rows_note(results: pd.DataFrame) -> str:
    """Return what the columns of the first table mean."""
    row = results[results["split"] == "validation"].iloc[0]
    seeds = int(row["seeds"])
    ours = (
        "Ours: one seed, so that there is no spread and no interval."
        if seeds == 1
        else f"Ours: mean ± standard deviation over {wording.seeds(seeds)}; 95% interval: where one "
        f"further seed of ours is expected."
    )
    return (
        f"Accuracy on {wording.count(row['n'])} validation sentences. Paper: one seed, with the "
        f"Wilson 95% interval of the published value. {ours} Difference: ours minus paper, in "
        f"percentage points. The verdicts were defined before the first run; see Methods. "
        f"{wording.descriptive(seeds) if seeds > 1 else ''}"
    ).strip()


def abstract(found: Mapping[str, pd.DataFrame], provenance: dict) -> list[str]:
    """Return the abstract as sentences: what was measured, then the verdicts."""
    sources = ("results", "comparisons", "equivalence", "cost")
    measured = wording.abstract(*(found[name] for name in sources), provenance)
    return [*measured, wording.verdicts(found["results"], found["claims"])]


def claims_table(claims: pd.DataFrame) -> str:
    """Return the table of the paper's claims as HTML."""
    return tables.as_html(claims, "claims-table", text=tuple(claims.columns))


def methods(params: Params, provenance: dict, found: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return the protocol as sentences, each with the figures of this run's parameters."""
    train, evaluate = params.train, params.evaluate
    name = found["cells"]["recipe"].iloc[0]
    recipe = train.recipes[name]
    rows = provenance["corpus"]["rows"]
    phrases = provenance["corpus"]["name"] in ("sst2", "probe")  # elsewhere rows stand alone
    kind = "whole sentences" if phrases else "rows"
    selection = (
        f"Checkpoints are chosen on the selection split ({wording.count(rows['selection'])} {kind} "
        f"cut from train), never on rows that are reported."
        if train.select_on == "selection"
        else "Checkpoints are chosen on the validation rows that are reported, as in the released "
        "code (defect D3): the validation figures are optimistic."
    )
    leaking = provenance["corpus"].get("leaking_rows")
    number = "" if leaking is None else f" ({wording.count(leaking)} rows)"
    leaking_kind = (
        "phrases of selection sentences" if phrases else "rows with the words of a selection row"
    )
    leaks = (
        f"All rows of train are trained on, also {leaking_kind}."
        if train.use_leaking_rows
        else f"{leaking_kind.capitalize()}{number} are left out of training."
    )
    start = (
        "Every mode starts from the same weights for a given seed."
        if params.encoder.keep_projections
        else "Masked modes start from random query, key and value projections, as in the released "
        "code (defect D1): the comparison is confounded on purpose."
    )
    lines = [
        f"{selection} {leaks}",
        f"Recipe “{name}”, the same for every mode: batches of {recipe.batch_size}, AdamW with "
        f"learning rate {recipe.learning_rate:g}, {recipe.warmup_steps} warm-up steps and linear "
        f"decay, weight decay {recipe.weight_decay:g}, gradient norm clipped at "
        f"{recipe.clip_norm:g}, {recipe.epochs} epochs, dropout {recipe.dropout:g}, attention "
        f"dropout {recipe.attention_dropout:g}; at most {train.max_pieces} word pieces. {start}",
        f"Seeds {wording.listing(str(seed) for seed in params.grid.seeds)}; a seed decides initial "
        f"weights, order of the batches and dropout.",
        f"Each mode is compared with full by a bootstrap of {evaluate.bootstrap_samples:,} samples "
        f"that draws sentences and seeds crossed (all seeds share their sentences); McNemar’s "
        f"exact test is given for each seed; Holm’s correction is over the modes.",
        f"Equivalence: two one-sided tests with a margin of "
        f"{evaluate.equivalence_margin_points:g} points"
        + (
            f", on {wording.split(found['equivalence']['split'].iloc[0])} "
            f"(n = {wording.count(found['equivalence']['n'].iloc[0])})"
            if len(found["equivalence"])
            else ""
        )
        + ". The margin was fixed before any result was seen.",
        "Verdicts, fixed beforehand. Reproduced: the paper’s checkpoint and data, our mean within "
        "1.0 point and the published value inside our interval for one further seed. Compatible: "
        "our mean inside the published value’s Wilson interval. Not reproduced: outside it. Not "
        "comparable: other data than SST-2.",
        "Density is the number of allowed pairs over all pairs of word pieces, special tokens "
        "included, padding excluded. Cost is theoretical: counted, not timed.",
    ]
    caution = wording.descriptive(len(params.grid.seeds))
    return [*lines, caution] if caution else lines


def studies_table() -> str:
    """Return what was run of every study, and what it took, as HTML."""
    caption = (
        "A cell is an arm with a seed. Minutes: of the finished cells, as noted while they trained "
        "beside others. Where: plan, predictions and times."
    )
    shown = progress.overview()
    return tables.as_html(
        shown, "studies-run", caption, text=tuple(name for name in shown if name != "minutes")
    )


def deviations() -> str:
    """Return DEVIATIONS.md as HTML, its headings lowered; a sentence if there is none."""
    if not DEVIATIONS.is_file():
        return "<p>DEVIATIONS.md does not exist in this workspace.</p>"
    text = re.sub(r"\A# .*\n", "", DEVIATIONS.read_text(encoding="utf-8"))
    text = re.sub(r"^##+ ", "### ", text, flags=re.MULTILINE)
    body = markdown2html_mistune(text).replace(
        '<a class="anchor-link"', '<a hidden class="anchor-link"'
    )
    return body.replace("<table>", '<div class="wide"><table class="data">').replace(
        "</table>", "</table></div>"
    )


def provenance_table(provenance: dict) -> str:
    """Return where everything came from, one line an item, as HTML."""
    rows = pd.DataFrame(list(_flattened(provenance)), columns=["item", "value"])
    return tables.as_html(rows, "provenance-table", text=("item", "value"))


def runs_table(runs: pd.DataFrame) -> str:
    """Return every run on every split as HTML."""
    names = {"wilson_low": "95% low", "wilson_high": "95% high", "f1": "F1"}
    forms = dict.fromkeys(("accuracy", "95% low", "95% high", "F1"), wording.accuracy)
    forms |= {"n": wording.count, "correct": wording.count, "seed": str}
    return tables.as_html(
        runs.rename(columns=names),
        "runs-table",
        "Every run; intervals are Wilson’s.",
        forms,
        text=("mode", "split"),
    )


def _flattened(content: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _flattened(value, f"{name}.{key}" if name else str(key))
    elif isinstance(content, list):
        yield name, "; ".join(map(str, content)) or "none"
    elif isinstance(content, bool):
        yield name, "yes" if content else "no"
    elif isinstance(content, int):
        yield name, wording.count(content)
    else:
        yield name, wording.NONE if content is None else str(content)
