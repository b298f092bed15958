"""The pages around the notebooks: of a run, the article on everything published, and its appendix.

A page loads nothing: styles, scripts (in the folder `web`), figures and text are in the one file,
and its content security policy makes the browser refuse anything else.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup
from nbconvert.filters import markdown2html_mistune

from ggsa.assets import corpora
from ggsa.report import claims, tables, templates, wording
from ggsa.workspace import artifacts
from ggsa.workspace.config import Params
from ggsa.workspace.provenance import is_replication
from ggsa.workspace.vocabulary import DID_NOT_LEARN

DEVIATIONS = Path("DEVIATIONS.md")
HEADING = re.compile(r'<h([23]) id="([^"]+)"[^>]*>(.*?)</h\1>', re.DOTALL)
TAG = re.compile(r"<[^>]+>")


def build(
    params: Params,
    folder: Path,
    provenance_file: Path,
    sections: Mapping[str, str],
    asked: pd.DataFrame,
    is_appendix: bool = False,
) -> str:
    """Return the page of a run, or the appendix of everything published.

    Args:
        params: The parameters of the run.
        folder: Where its tables are.
        provenance_file: The file that says where each asset came from.
        sections: HTML of every chapter by the prefix of its anchors, in the order of the page.
        asked: The table of claims.
        is_appendix: Whether the findings are in an article beside it.

    Raises:
        UserError: If a table or the provenance is missing.
    """
    provenance = artifacts.read_json(provenance_file)
    name = tables.read(folder, "cells")["recipe"].iloc[0]
    page = templates.render(
        "page.html.j2",
        **_first(params, folder, provenance, ", appendix" if is_appendix else ""),
        content=_content(sections),
        is_appendix=is_appendix,
        claims=Markup(claims.as_html(asked)),
        params=params,
        recipe=params.train.recipes[name],
        recipe_name=name,
        phrases=corpora.get(provenance["corpus"]["name"]).phrases,
        deviations=Markup(deviations()),
    )
    return with_contents(page)


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
    first = _first(params, folder, provenance)
    if provenance["is_sst2"]:  # substitutes are then named in a line, and in the limits
        first |= {"banner": [], "run": f"Here: {wording.corpus_name(provenance)}."}
    return templates.render("article.html.j2", **first, answer=answer, content=_content(sections))


def _first(params: Params, folder: Path, provenance: dict, kind: str = "") -> dict[str, Any]:
    """Return what a page begins with: its title, and the run beside the paper or by itself."""
    results, replication = tables.read(folder, "results"), is_replication(provenance)
    if replication:
        rows, note = verdict_rows(results), rows_note(results)
    else:
        rows, note = own_rows(results, tables.read(folder, "differences")), own_rows_note(results)
    return {
        "title": f"Grammatically guided sparse attention{': a replication' * replication}{kind}",
        "replication": replication,
        "provenance": provenance,
        "banner": banner(params, provenance),
        "alarm": wording.alarm(provenance),
        "run": run_line(params, provenance),
        "rows": rows,
        "rows_note": note,
    }


def _content(sections: Mapping[str, str]) -> Markup:
    return Markup("\n".join(with_anchors(name, text) for name, text in sections.items()))


def with_anchors(name: str, section: str) -> str:
    """Return a chapter with an anchor on every heading: its name, or its name and the heading."""
    first = re.search(r"<h2>.*?</h2>", section, flags=re.DOTALL)

    def anchored(heading: re.Match[str]) -> str:
        level, title = heading.groups()
        slug = re.sub(r"[^a-z0-9]+", "-", TAG.sub("", title).lower()).strip("-")
        anchor = name if first and heading.start() == first.start() else f"{name}-{slug}"
        return f'<h{level} id="{anchor}">{title}</h{level}>'

    return re.sub(r"<h([23])>(.*?)</h\1>", anchored, section, flags=re.DOTALL)


def with_contents(page: str) -> str:
    """Return a page with the list of all its headings in place of the comment `contents`."""
    items = "\n".join(
        f'<li class="level{level}"><a href="#{anchor}">{TAG.sub("", title).strip()}</a></li>'
        for level, anchor, title in HEADING.findall(page)
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
