"""What the notebooks on a run show: one module per notebook, one function per figure or table.

A function takes the `Material` of the run and returns HTML; its captions are computed from the
tables.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ggsa.report import style, tables
from ggsa.workspace import artifacts


@dataclass(frozen=True)
class Material:
    """Where the tables of a run are and where figures are written; tables are read when asked for."""

    tables: Path
    statistics: Path
    provenance_file: Path
    figures: Path

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of the evaluate stage."""
        return tables.read(self.tables, name)

    def statistic(self, name: str) -> pd.DataFrame:
        """Return a table of the rules stage."""
        return tables.read(self.statistics, name)

    def notices(self) -> dict[str, list[str]]:
        """Return the rules that never fire and the tags that may attend only to themselves."""
        return artifacts.read_json(self.statistics / "notices.json")

    def provenance(self) -> dict:
        """Return where each asset came from."""
        return artifacts.read_json(self.provenance_file)


def material(
    tables: str, statistics: str, provenance: str, figures: str, figure_dpi: int
) -> Material:
    """Return the material of a run and set the style of figures: a notebook's first call."""
    style.use(figure_dpi)
    return Material(Path(tables), Path(statistics), Path(provenance), Path(figures))


def show(fragment: str) -> None:
    """Display HTML as the output of a notebook's cell."""
    from IPython.display import HTML, display  # late: only a kernel needs it

    display(HTML(fragment))


def modes_of(table: pd.DataFrame) -> list[str]:
    """Return the modes of a table in its order."""
    return list(dict.fromkeys(table["mode"]))


def splits_of(table: pd.DataFrame) -> list[str]:
    """Return the splits of a table in its order."""
    return list(dict.fromkeys(table["split"]))


def paragraph(text: str) -> str:
    """Return sentences as a paragraph; an empty string for none."""
    return f"<p>{text}</p>" if text else ""
