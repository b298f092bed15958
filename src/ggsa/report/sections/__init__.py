"""What the notebooks draw: one module a notebook, one function a figure or table.

Place in the data flow: called inside the kernels that run `notebooks/*.ipynb`. A function takes the
`Material` of the run and returns HTML; what it needs to say is computed from the tables at hand.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ggsa.report import style, tables
from ggsa.workspace import artifacts


@dataclass(frozen=True)
class Material:
    """Where the finished tables lie and where figures go; reads them when asked."""

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
        """Return the rules that never fire and the tags left with nothing but themselves."""
        return artifacts.read_json(self.statistics / "notices.json")

    def provenance(self) -> dict:
        """Return where each asset came from."""
        return artifacts.read_json(self.provenance_file)


def material(
    tables: str, statistics: str, provenance: str, figures: str, figure_dpi: int
) -> Material:
    """Return the material of a run and set the style of figures: every notebook's first call."""
    style.use(figure_dpi)
    return Material(Path(tables), Path(statistics), Path(provenance), Path(figures))


def show(fragment: str) -> None:
    """Show HTML as the output of a notebook's cell."""
    from IPython.display import HTML, display

    display(HTML(fragment))


def modes_of(table: pd.DataFrame) -> list[str]:
    """Return the modes of a table in the order in which they stand."""
    return list(dict.fromkeys(table["mode"]))


def splits_of(table: pd.DataFrame) -> list[str]:
    """Return the splits of a table in the order in which they stand."""
    return list(dict.fromkeys(table["split"]))


def paragraph(text: str) -> str:
    """Return sentences as a paragraph; nothing for nothing."""
    return f"<p>{text}</p>" if text else ""
