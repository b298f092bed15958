"""The README's generated parts: the answer, the paper's table beside ours, and the claims."""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from ggsa.report import answer, claims, page, tables, wording
from ggsa.workspace import artifacts, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.provenance import is_replication

README = Path("README.md")
CLAIMS = ("claim", "statement", "ours (interval)", "verdict")
CLAIMED = re.compile(r"C[4-6]|gate, pretrained|P\d")
"""The columns and rows of the table of claims that the README shows; the appendix has all."""
BLOCKS = ("answer", "results", "claims")


def read() -> str:
    """Return the README.

    Raises:
        UserError: If it lacks a mark, has one twice, or has them in the wrong order.
    """
    text = README.read_text(encoding="utf-8") if README.is_file() else ""
    for name in BLOCKS:
        begin, end = marks(name)
        if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
            raise UserError(
                f"{README}: expected the marks {begin} and {end} once each, in this order. A table "
                f"is written between them: restore them. Nothing was published."
            )
    return text


def marks(name: str) -> tuple[str, str]:
    """Return the comments before and after a generated table."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def with_blocks(text: str, folder: Path) -> str:
    """Return the README with its generated tables replaced by those of a published run."""
    for name, block in blocks(folder).items():
        begin, end = marks(name)
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n\n{block}\n\n{end}{after}"
    return text


def block_of(text: str, name: str) -> str:
    """Return what is between the marks, without the blank lines around it."""
    begin, end = marks(name)
    return text.partition(begin)[2].partition(end)[0].strip()


def blocks(folder: Path) -> dict[str, str]:
    """Return the generated tables of a published run as Markdown, by name."""
    provenance = artifacts.read_json(folder / "provenance.json")
    return {
        "answer": answer_block(folder, provenance),
        "results": results_block(folder / "tables", provenance),
        "claims": claims_block(folder / "tables"),
    }


def results_block(folder: Path, provenance: dict[str, Any]) -> str:
    """Return the published results, beside the paper's on its corpus, and on which data they are.

    Args:
        folder: Its tables.
        provenance: Of the run.
    """
    results = tables.read(folder, "results")
    if is_replication(provenance):
        rows = _beside_paper(results)
    else:
        rows = pd.DataFrame(page.own_rows(results, tables.read(folder, "differences")))
    first = results[results["split"] == "validation"].iloc[0]
    about = (
        f"Accuracy on {wording.count(first['n'])} validation sentences of "
        f"{wording.corpus_name(provenance)}, {wording.seeds(int(first['seeds']))}; "
        f"{wording.encoder_name(provenance)}. {wording.few_seeds(int(first['seeds']))}"
    ).strip()
    warning = (
        ""
        if provenance["is_sst2"]
        else f"**{wording.alarm(provenance)}.** {wording.banner(provenance)[0]}\n\n"
    )
    return f"{warning}{rows.to_markdown(index=False, disable_numparse=True)}\n\n{about}"


def _beside_paper(results: pd.DataFrame) -> pd.DataFrame:
    density = results[results["split"] == "validation"]["density"]
    return pd.DataFrame(
        [
            {
                "mode": row["mode"],
                "paper (95% interval)": row["paper"]
                if row["paper"] == wording.NONE
                else f"{row['paper']} ({row['paper_interval']})",
                "ours (mean ± SD)": row["ours"],
                "difference (pp)": row["difference"],
                "95% interval, a new seed": row["interval"],
                "theoretical attention work": wording.percent(share),
                "verdict": row["verdict"],
            }
            for row, share in zip(page.verdict_rows(results), density, strict=True)
        ]
    )


def answer_block(folder: Path, provenance: dict[str, Any]) -> str:
    """Return the answer and its figure."""
    said = answer.paragraphs(folder / "tables", provenance)
    if not said:
        return "The answer is written for SST-2 and every published study."
    figure = (paths.PUBLISHED / "figures" / f"{answer.FIGURE}.png").as_posix()
    text = "\n".join(f"- **{paragraph.lead}** {paragraph.text}" for paragraph in said)
    return f"{text}\n\n![Accuracy under each mask, from scratch and pretrained]({figure})"


def claims_block(folder: Path) -> str:
    """Return the paper's claims and the declared questions, with what was found.

    Of a row that answers two questions, the first is stated.
    """
    table = claims.published_claims(folder)
    table = table[table["claim"].str.fullmatch(CLAIMED)][list(CLAIMS)]
    first = table["statement"].str.extract(r"^([^?]*\??)", expand=False)
    lines = table.assign(statement=first).map(lambda text: text.replace("\n", "<br>"))
    return lines.to_markdown(index=False, disable_numparse=True)
