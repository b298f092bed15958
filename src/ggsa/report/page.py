"""The pages around the notebooks: of a run, the article on everything published, and its appendix.

A page loads nothing: styles, scripts (in the folder `web`), figures and text are in the one file,
and its content security policy makes the browser refuse anything else.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from nbconvert.filters import markdown2html_mistune

from ggsa.assets import corpora
from ggsa.report import claims, tables, wording
from ggsa.training import studies
from ggsa.workspace import artifacts
from ggsa.workspace.config import Params
from ggsa.workspace.provenance import is_replication
from ggsa.workspace.tables import read_csv
from ggsa.workspace.vocabulary import DID_NOT_LEARN

WEB = Path(__file__).with_name("web")
STYLES = ("page.css", "explorer.css", "print.css")
SCRIPTS = ("page.js", "explorer.js")
DEVIATIONS = Path("DEVIATIONS.md")
HEADING = re.compile(r'<h([23]) id="([^"]+)"[^>]*>(.*?)</h\1>', re.DOTALL)
ABOUT_PAPER = ("is_sst2", "is_paper_checkpoint")
"""Entries of provenance.json that only the report of a replication shows."""
TABLES = ("results", "runs", "cells", "differences", "verdicts", "cost", "claims")


TITLE = "Grammatically guided sparse attention"
ABOUT = Markup(
    "Paper: S. Pratyush, <i>Grammatically-Guided Sparse Attention for Efficient and Interpretable "
    "Transformers</i>, arXiv 2605.24518. "
)
CLAIM = (
    "The paper lets a word attend only to words of grammatically related parts of speech (the hard "
    "mask), or favors them (soft), and reports that a small BERT keeps its accuracy on SST-2 while "
    "attention does far less work. Full is ordinary attention; in a window, a word sees its neighbors."
)
PAPER_VERDICTS = (
    "Verdicts on the paper’s accuracies. Reproduced: the paper’s checkpoint and data, our mean "
    "within 1.0 pp and the published value inside our interval for a new seed. Compatible: our "
    "mean inside the published value’s Wilson interval. Not reproduced: outside it. Not "
    "comparable: the data are not SST-2."
)


@dataclass(frozen=True)
class Published:
    """What the appendix says of everything published, instead of this run alone.

    Attributes:
        claims: The table of claims.
        studies: What was run of every study, as HTML.
        is_appendix: Whether the findings are in an article beside it.
    """

    claims: pd.DataFrame
    studies: str
    is_appendix: bool


def build(
    params: Params,
    folder: Path,
    provenance_file: Path,
    sections: Mapping[str, str],
    published: Published | None = None,
) -> str:
    """Return the page of a run, or the appendix of everything published.

    Args:
        params: The parameters of the run.
        folder: Where its tables are.
        provenance_file: The file that says where each asset came from.
        sections: HTML of every chapter by the prefix of its anchors, in the order of the page.
        published: What the appendix has; None for the page of this run alone.

    Raises:
        UserError: If a table or the provenance is missing.
    """
    provenance = artifacts.read_json(provenance_file)
    read = {name: tables.read(folder, name) for name in TABLES}
    table = published.claims if published else claims.run_claims(folder)
    is_appendix = published is not None and published.is_appendix
    page = _template("page.html.j2").render(
        **_shell(provenance, ", appendix" if is_appendix else ""),
        **_first(params, read, provenance),
        is_appendix=is_appendix,
        claims=Markup(claims.as_html(table)),
        content=_content(sections),
        methods=methods(params, provenance, read["cells"]["recipe"].iloc[0]),
        studies=Markup(published.studies if published else ""),
        deviations=Markup(deviations()),
        provenance=Markup(provenance_table(provenance)),
        runs=Markup(runs_table(read["runs"])),
    )
    # The contents are read from the finished page, so that no heading is missing from them.
    return with_contents(page, contents(page))


def article(
    params: Params,
    folder: Path,
    provenance_file: Path,
    sections: Mapping[str, str],
    answer: Sequence[Any],
) -> str:
    """Return the article: the answer, the paper's table beside ours, and one notebook.

    Args:
        params: The parameters of the published run.
        folder: Where its tables are.
        provenance_file: The file that says where each asset came from.
        sections: HTML of the notebook by the prefix of its anchors.
        answer: Its paragraphs; see `ggsa.report.answer`.
    """
    provenance = artifacts.read_json(provenance_file)
    read = {name: tables.read(folder, name) for name in ("results", "differences")}
    first = _first(params, read, provenance)
    if provenance["is_sst2"]:  # substitutes are then named in a line, and in the limits
        first |= {"banner": [], "run": f"Here: {wording.corpus_name(provenance)}."}
    return _template("article.html.j2").render(
        **_shell(provenance),
        **first,
        substitutes=provenance["substitutes"],
        claim=CLAIM,
        answer=answer,
        content=_content(sections),
    )


def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(WEB),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _shell(provenance: dict, kind: str = "") -> dict[str, Any]:
    """Return what every page has: title, styles and scripts."""
    replication = is_replication(provenance)
    return {
        "title": f"{TITLE}: a replication{kind}" if replication else f"{TITLE}{kind}",
        "about": ABOUT if replication else "",
        "replication": replication,
        "styles": in_line(*STYLES),
        "theme": in_line("theme.js"),
        "scripts": in_line(*SCRIPTS),
    }


def _first(params: Params, read: Mapping[str, pd.DataFrame], provenance: dict) -> dict[str, Any]:
    """Return what the first screen says of the run: beside the paper, or on a corpus of one's own."""
    results = read["results"]
    if is_replication(provenance):
        rows, note = verdict_rows(results), rows_note(results)
    else:
        rows, note = own_rows(results, read["differences"]), own_rows_note(results)
    return {
        "banner": banner(params, provenance),
        "alarm": wording.alarm(provenance),
        "run": run_line(params, provenance),
        "rows": rows,
        "rows_note": note,
    }


def _content(sections: Mapping[str, str]) -> Markup:
    return Markup("\n".join(with_anchors(name, text) for name, text in sections.items()))


def in_line(*names: str) -> Markup:
    """Return files of the folder `web`, joined and unescaped."""
    return Markup("\n").join(
        Markup((WEB / name).read_text(encoding="utf-8").rstrip()) for name in names
    )


def with_anchors(name: str, section: str) -> str:
    """Return a chapter with an anchor on every heading: its name, or its name and the heading."""
    first = re.search(r"<h2>.*?</h2>", section, flags=re.DOTALL)

    def anchored(heading: re.Match[str]) -> str:
        level, title = heading.groups()
        slug = re.sub(r"[^a-z0-9]+", "-", re.sub(r"<[^>]+>", "", title).lower()).strip("-")
        anchor = name if first and heading.start() == first.start() else f"{name}-{slug}"
        return f'<h{level} id="{anchor}">{title}</h{level}>'

    return re.sub(r"<h([23])>(.*?)</h\1>", anchored, section, flags=re.DOTALL)


def contents(page: str) -> list[tuple[int, str, str]]:
    """Return (level, anchor, title) of every heading of a page, in order."""
    return [
        (int(level), anchor, re.sub(r"<[^>]+>", "", title).strip())
        for level, anchor, title in HEADING.findall(page)
    ]


def with_contents(page: str, headings: list[tuple[int, str, str]]) -> str:
    """Return the page with its list of contents in place of the comment `contents`."""
    items = "\n".join(
        f'<li class="level{level}"><a href="#{anchor}">{title}</a></li>'
        for level, anchor, title in headings
    )
    return page.replace("<!-- contents -->", f"<ol>\n{items}\n</ol>", 1)


def banner(params: Params, provenance: dict) -> list[str]:
    """Return what no reader may miss: other data, substitutes, or rules that are not the paper's."""
    sentences = wording.banner(provenance)
    changed = [*(f"{rule} dropped" for rule in params.rules.drop)]
    changed += [f"{rule} added" for rule in params.rules.add]
    if params.rules.source != "paper":
        changed.append("rules derived from the corpus statistics")
    if changed:
        hard = "is not the paper’s" if is_replication(provenance) else "was changed"
        sentences.append(f"The hard table {hard}: {wording.listing(changed)}.")
    return sentences


def run_line(params: Params, provenance: dict) -> str:
    """Return what was run and on which data, in two sentences."""
    modes = wording.listing(params.grid.modes)
    numbers = wording.listing(str(seed) for seed in params.grid.seeds)
    seeds = "seed" if len(params.grid.seeds) == 1 else "seeds"
    about = provenance["corpus"]
    cut = " (cut from train, which still lists them)" if about.get("leaking_rows") else ""
    rows = ", ".join(
        f"{split} {wording.count(number)}{cut if split == 'selection' else ''}"
        for split, number in about["rows"].items()
        if split != "examples"
    )
    return (
        f"Run: the modes {modes}, each with {seeds} {numbers}, on "
        f"{wording.corpus_name(provenance)}; {wording.encoder_name(provenance)}. Rows of every split: {rows}."
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
        "Ours: one seed, so there is no spread and no interval."
        if seeds == 1
        else f"Ours: mean ± standard deviation over {wording.seeds(seeds)}; the 95% interval is "
        f"where a new seed is expected."
    )
    return (
        f"Accuracy on {wording.count(row['n'])} validation sentences. Paper: one seed, with the "
        f"Wilson 95% interval of the published value. {ours} Difference: ours minus paper, in "
        f"percentage points (pp). The verdicts were defined before the first run; see Methods. "
        f"{wording.few_seeds(seeds) if seeds > 1 else ''}"
    ).strip()


def own_rows(results: pd.DataFrame, differences: pd.DataFrame) -> list[dict[str, str]]:
    """Return the lines of the first table where there is no paper: every mode beside full."""
    rows = results[results["split"] == "validation"]
    against = differences[differences["split"] == "validation"].set_index("arm")
    against = against.reindex(rows["mode"])
    return [
        {
            "mode": row.mode,
            "accuracy": with_spread(row.accuracy_mean, row.accuracy_sd),
            "minus full (pp)": wording.points(other.difference_points),
            "95% interval": wording.interval(other.low_points, other.high_points, wording.points),
            "allowed pairs": wording.percent(row.density),
        }
        for row, other in zip(rows.itertuples(), against.itertuples(), strict=True)
    ]


def own_rows_note(results: pd.DataFrame) -> str:
    """Return what the columns of that table mean, and which modes did not learn."""
    rows = results[results["split"] == "validation"]
    seeds = int(rows["seeds"].iloc[0])
    spread = "" if seeds == 1 else ": mean ± standard deviation"
    failed = rows.loc[rows["verdict"] == DID_NOT_LEARN, "mode"]
    did_not_learn = (
        f"{wording.listing(failed)} {DID_NOT_LEARN}: not shown to do better than always answering "
        f"with the most frequent class."
    )
    return " ".join(
        [
            f"Accuracy on {wording.count(rows['n'].iloc[0])} validation sentences, "
            f"{wording.seeds(seeds)}{spread}.",
            *([did_not_learn] if len(failed) else []),
            *filter(None, [wording.few_seeds(seeds)]),
        ]
    )


def methods(params: Params, provenance: dict, recipe_name: str) -> list[str]:
    """Return the protocol as sentences, each with the numbers of this run's parameters."""
    train, evaluate = params.train, params.evaluate
    recipe = train.recipes[recipe_name]
    phrases = corpora.get(provenance["corpus"]["name"]).phrases
    warmup = (
        f"{recipe.warmup} warm-up steps"
        if isinstance(recipe.warmup, int)
        else f"warm-up over {wording.percent(recipe.warmup, 0)} of the steps"
    )
    start = (
        "Every mode starts from the same weights for a given seed."
        if params.encoder.keep_projections
        else "Masked modes start from random query, key and value projections, as in the released "
        "code (defect D1): the comparison is confounded on purpose."
    )
    lines = [
        f"{_checkpoint(params, provenance, phrases)} {_leaks(params, provenance, phrases)}",
        f"Recipe “{recipe_name}”, the same for every mode: batches of {recipe.batch_size}, AdamW "
        f"with learning rate {recipe.learning_rate:g}, {warmup} and linear decay, weight decay "
        f"{recipe.weight_decay:g}, gradient norm clipped at {recipe.clip_norm:g}, {recipe.epochs} "
        f"epochs, dropout {recipe.dropout:g}, attention dropout {recipe.attention_dropout:g}; at "
        f"most {train.max_pieces} word pieces. {start}",
        f"Seeds {wording.listing(str(seed) for seed in params.grid.seeds)}. A seed sets the initial "
        f"weights, the order of the batches and dropout. All arms of a seed are trained on one "
        f"machine: a seed gives another model on another machine.",
        f"Differences are paired over sentences and seeds. Intervals and tests use Student’s t with "
        f"the crossed random-effects standard error; a crossed bootstrap of "
        f"{evaluate.bootstrap_samples:,} samples is drawn beside them and decides nothing. "
        f"McNemar’s exact test is given for each seed. Holm’s correction is over the questions of "
        f"a family, losses included.",
        f"Verdicts on questions, the first that applies. Equivalent within "
        f"{evaluate.equivalence_margin_points:g} pp: two one-sided tests at that margin, which was "
        f"fixed before any result, and headroom is shown (full attention is better than the mode "
        f"diagonal). Worse by more than the margin: a one-sided test. Worse, size uncertain, or "
        f"better: a two-sided test against zero. Otherwise inconclusive. Fewer than three seeds: "
        f"no verdict; fewer than five: headroom and equivalence only. No verdict either on a mode "
        f"that did not learn: its correct answers of all seeds have a lower Wilson 95% bound that "
        f"does not exceed the share of the most frequent class.",
        PAPER_VERDICTS if is_replication(provenance) else "",
        "Density is the number of allowed pairs over all pairs of word pieces, special tokens "
        "included, padding excluded. Cost is theoretical: counted, not timed.",
    ]
    return [*filter(None, [*lines, wording.few_seeds(len(params.grid.seeds))])]


def _checkpoint(params: Params, provenance: dict, phrases: bool) -> str:
    """Return which weights of a training are kept."""
    if params.train.checkpoint == "last":
        return "The weights of the last step are kept; nothing is selected."
    if params.train.select_on == "validation":
        return (
            "Checkpoints are chosen on the validation rows that are reported, as in the released "
            "code (defect D3): the validation numbers are optimistic."
        )
    kind = "whole sentences" if phrases else "rows"
    return (
        f"Checkpoints are chosen on the selection split "
        f"({wording.count(provenance['corpus']['rows']['selection'])} {kind} cut from train), "
        f"never on rows that are reported."
    )


def _leaks(params: Params, provenance: dict, phrases: bool) -> str:
    """Return what becomes of training rows that share text with the selection split."""
    kind = "phrases of selection sentences" if phrases else "rows with the words of a selection row"
    if params.train.use_leaking_rows:
        return f"All rows of train are used in training, {kind} too."
    leaking = provenance["corpus"].get("leaking_rows")
    number = "" if leaking is None else f" ({wording.count(leaking)} rows)"
    return f"{kind.capitalize()}{number} are excluded from training."


def studies_table(published: Iterable[tuple[str, str]]) -> str:
    """Return what was run of every published study, and how long it took, as HTML."""
    rows = []
    for name, corpus in published:
        study, folder = studies.load(name), studies.results(name, corpus)
        plan, seconds = study.plan(corpus), studies.seconds_file(name, corpus)
        taken = read_csv(seconds).groupby("cell")["seconds"].last() if seconds.is_file() else []
        rows.append(
            {
                "study": name,
                "question": study.question,
                "corpus": corpus,
                "arms": len(plan.arms),
                "seeds": ", ".join(map(str, plan.seeds)),
                "device": wording.listing(_devices(folder)),
                "minutes": f"{sum(taken) / 60:.0f}" if len(taken) else wording.NONE,
                "files": folder.as_posix(),
            }
        )
    caption = "Minutes: training time of all cells, several of which ran at the same time."
    text = ("study", "question", "corpus", "seeds", "device", "files")
    return tables.as_html(pd.DataFrame(rows), "studies-run", caption, text=text) if rows else ""


def _devices(folder: Path) -> list[str]:
    """Return what a study's cells were trained on, such as `cpu`."""
    cells = (artifacts.read_json(file) for file in sorted(folder.glob("cells/*/cell.json")))
    return sorted({cell["machine"]["device"] for cell in cells}) or [wording.NONE]


def deviations() -> str:
    """Return DEVIATIONS.md as HTML with its headings at level 3."""
    if not DEVIATIONS.is_file():
        return "<p>DEVIATIONS.md does not exist in this workspace.</p>"
    text = re.sub(r"\A# .*\n", "", DEVIATIONS.read_text(encoding="utf-8"))
    text = re.sub(r"^##+ ", "### ", text, flags=re.MULTILINE)
    body = markdown2html_mistune(text).replace(
        '<a class="anchor-link"', '<a hidden class="anchor-link"'
    )
    opening = '<div class="table"><div class="wide"><table class="data">'
    return body.replace("<table>", opening).replace("</table>", "</table></div></div>")


def provenance_table(provenance: dict) -> str:
    """Return the provenance of every asset, one row per item, as HTML."""
    hidden = () if is_replication(provenance) else ABOUT_PAPER
    items = [row for row in _flattened(provenance) if not row[0].endswith(hidden)]
    rows = pd.DataFrame(items, columns=["item", "value"])
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
        text=("arm", "mode", "split"),
        main=("seed", "split", "accuracy"),
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
