"""The pre-stated questions: each with its test, its margin, its power and its verdict."""

import pandas as pd

from ggsa.report import tables, wording
from ggsa.report.sections import studies
from ggsa.report.sections.studies import Studies

VERDICTS = ("yes", "no", "cannot tell")


def finding(material: Studies, base: str) -> str:
    """Return how many of the questions were answered, and which."""
    rows, where = material.rows(base, "questions"), studies.BASE_NAMES[base]
    if rows.empty:
        return studies.finding(f"Not run: no question can be asked yet on {where}.")
    named = {
        verdict: list(rows.loc[rows["verdict"] == verdict, "question"]) for verdict in VERDICTS
    }
    counts = wording.listing(
        f"{len(questions)} answered “{verdict}”" for verdict, questions in named.items()
    )
    asked = "the one question" if len(rows) == 1 else f"{len(rows)} questions"
    text = f"Of {asked} that can be asked on {where}, {counts}."
    for verdict in ("yes", "no"):
        told = rows[rows["verdict"] == verdict]
        if len(told):
            text += f" {verdict.capitalize()}: " + "; ".join(
                f"{row['question']} ({wording.points(row['difference_points'])} points, "
                f"{row['level']:.0%} interval "
                f"{wording.interval(row['low_points'], row['high_points'], wording.points)}, "
                f"{studies.basis(row['n'], row['seeds'])})"
                for _, row in told.iterrows()
            )
            text += "."
    return studies.finding(text)


def table(material: Studies, base: str) -> str:
    """Return the table of the questions, family by family."""
    rows = material.rows(base, "questions")
    if rows.empty:
        return ""
    lines = []
    for family, part in rows.groupby("family", sort=False):
        for place, (_, row) in enumerate(part.iterrows()):
            span = wording.interval(row["low_points"], row["high_points"], wording.points)
            margin = row["margin_points"]
            lines.append(
                {
                    "family": family if place == 0 else "",
                    "question": row["question"],
                    "verdict": row["verdict"],
                    "difference": row["difference_points"],
                    "interval": f"{span} ({row['level']:.0%})",
                    "margin": f"±{margin:g}" if margin > 0 else wording.NONE,
                    "test": row["test"],
                    "p": row["p"],
                    "p (Holm)": row["p_holm"],
                    "n": row["n"],
                    "seeds": str(int(row["seeds"])),
                    "smallest detectable": row["smallest_points"],
                }
            )
    fewest = int(rows["seeds"].min())
    caption = (
        f"Questions on {studies.BASE_NAMES[base]}, fixed before the cells were trained; "
        f"differences in points. A question with a margin asks for equality: yes when the two "
        f"one-sided tests reject after Holm’s correction over its family, no when the interval "
        f"lies beyond the margin. One without asks for superiority: yes or no when the two-sided "
        f"test rejects after Holm. Else it cannot be told; the last column gives the margin, or "
        f"the true difference, that this design finds with 80% power. "
        f"{wording.descriptive(fewest)}"
    ).strip()
    forms = dict.fromkeys(("p", "p (Holm)"), wording.p_value)
    forms |= {
        "difference": wording.points,
        "n": wording.count,
        "smallest detectable": lambda value: wording.accuracy(value, 2),
    }
    return tables.as_html(
        pd.DataFrame(lines),
        f"study-questions-{base}",
        caption,
        forms,
        text=("family", "question", "verdict", "test"),
    )
