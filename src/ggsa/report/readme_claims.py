"""The README's table of claims: what was claimed or asked, how to get our answer, and what it is.

Place in the data flow: called by `ggsa.report.publish`, and by `python -m ggsa.report.readme_claims`
after a study. Every value comes from published tables; none is typed here.
"""

from pathlib import Path

from tabulate import tabulate

from ggsa.report import tables, wording
from ggsa.training import studies
from ggsa.workspace import artifacts, paths
from ggsa.workspace.tables import read_table

README = Path("README.md")
BEGIN, END = "<!-- claims:begin -->", "<!-- claims:end -->"
FAMILY_STUDIES = {
    "accuracy is kept": "seeds",
    "it holds on the test split": "seeds",
    "it holds at every length": "seeds",
    "there is room for a mask to matter": "controls",
    "grammar matters": "controls",
    "the tagger's mistakes matter": "noise",
}
"""Which study answers the questions of a family."""

CORPUS_NAMES = {"sst2": "SST-2", "probe": "probe corpus", "imdb": "IMDB"}
BASE_NAMES = {"pretrained": ", pretrained stand-in"}


def block() -> str:
    """Return the table as Markdown, with the sentence that explains its columns."""
    rows = [*_paper_rows(), *(row for corpus in CORPUS_NAMES for row in _question_rows(corpus))]
    text = tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
    return (
        f"{text}\n\nExpected: what the published run gave. Tolerance: where another seed is "
        f"expected (C1 to C3), the 90% interval of the two one-sided tests (questions of equality, "
        f"margin {_margin():g} points), or the 95% interval of the difference, in percentage "
        f"points. Minutes: training on one CPU thread, as this project measured it; a dash where "
        f"it was not measured."
    )


def with_block(readme: str) -> str:
    """Return the README with its table of claims brought up to date; as it is without the marks."""
    if BEGIN not in readme or END not in readme:
        return readme
    before, rest = readme.split(BEGIN, 1)
    return f"{before}{BEGIN}\n\n{block()}\n\n{END}{rest.split(END, 1)[1]}"


def _paper_rows() -> list[dict[str, str]]:
    claims = tables.read(paths.PUBLISHED / "tables", "claims")
    return [
        {
            "claim": f"{row['claim']}: {row['statement']}",
            "command": "`make repro`",
            "expected": row["ours"] or wording.NONE,
            "tolerance": row["interval"] or wording.NONE,
            "minutes": wording.NONE,
            "verdict": row["verdict"],
            **(_interpretability() if row["claim"] == "C6" else {}),
        }
        for row in claims.to_dict("records")
    ]


def _interpretability() -> dict[str, str]:
    """Return what the study of interpretability says on C6; nothing where it was not run."""
    folder = paths.interpretability("sst2")
    if not (folder / "findings.csv").is_file():
        return {}
    rows = tables.read(folder, "findings")
    rows = rows[rows["question"].str.startswith("C6:")]
    said = "; ".join(f"{row['mode']}: {row['verdict']}" for _, row in rows.iterrows())
    measures = rows["measure"].iloc[0]
    return {
        "command": "`make study NAME=interpretability`",
        "expected": measures,
        "verdict": said,
    }


def _question_rows(corpus: str) -> list[dict[str, str]]:
    folder = studies.results("answers", corpus) / "tables"
    if not (folder / "questions.csv").is_file():
        return []
    rows = []
    for row in tables.read(folder, "questions").to_dict("records"):
        alone = row["question"].endswith("in evaluation alone")
        study = "misread" if alone else FAMILY_STUDIES[row["family"]]
        study = "long" if corpus == "imdb" else study
        place = f"{CORPUS_NAMES[corpus]}{BASE_NAMES.get(row['base'], '')}"
        flag = " CORPUS=probe" if corpus == "probe" else ""
        interval = wording.interval(row["low_points"], row["high_points"], wording.points)
        rows.append(
            {
                "claim": f"{row['question']} ({place})",
                "command": f"`make study NAME={study}{flag}`",
                "expected": f"{wording.points(row['difference_points'])} points",
                "tolerance": f"{interval} ({wording.seeds(int(row['seeds']))})",
                "minutes": _minutes(study, corpus),
                "verdict": row["verdict"],
            }
        )
    return rows


def _minutes(study: str, corpus: str) -> str:
    path = studies.results(study, corpus) / "seconds.csv"
    if not path.is_file():
        return wording.NONE
    seconds = read_table(path, ("cell", "seconds")).groupby("cell")["seconds"].last()
    return f"{seconds.sum() / 60:.0f}"


def _margin() -> float:
    equivalence = tables.read(paths.PUBLISHED / "tables", "equivalence")
    return float(equivalence["margin_points"].iloc[0]) if len(equivalence) else float("nan")


def main() -> None:
    """Bring the README's table of claims up to date, where there is a README."""
    if not README.is_file():
        return
    artifacts.write_text(README, with_block(README.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
