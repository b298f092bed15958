"""What README and docs tell a reader to type, read off their fenced blocks."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "corpora/README.md", *sorted((ROOT / "docs").glob("*.md")))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.M | re.S)


def all_blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of every fenced block of a page, in its order."""
    return re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), flags=re.M | re.S)


def commands(page: Path) -> list[str]:
    """Every line of the page's `sh` blocks, without its remark."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    return [re.sub(r"\s{2,}# .*", "", line).strip() for line in lines if line.strip()]


def all_commands() -> list[str]:
    """Every command of every page once, in the order of the pages."""
    return list(dict.fromkeys(line for page in PAGES for line in commands(page)))


def first_column(page: Path, heading: str) -> list[str]:
    """The names in the first column of the table whose first heading is this."""
    table = page.read_text().partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `([^`]+)` \|", table, flags=re.M)


EXECUTED = re.compile(
    r"ggsa (?!verify)|make compare|make experiment SET='rules.drop=\[\"VERB->NOUN\"\]'$"
    r"|dvc (plots|exp (branch|remove))"
)
"""Commands that tests/pipeline executes in a finished copy, in the order of the pages."""
