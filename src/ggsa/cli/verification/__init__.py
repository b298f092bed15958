"""Whether everything published follows from the published predictions; nothing is trained.

`ggsa verify`, called by `make verify`. It needs only what Git keeps, neither `data/` nor
`runs/`, and writes nothing. Each group of checks is one line:

- *re-derived* (`rederived`): the tables and metrics of core, and the tables of every study with
  cells, are computed again from the published cells by the functions that wrote them; the README
  is compared with the published tables; and every declared cell exists, as it was planned.
- *recorded* (`recorded`): the SHA-256 of every file. That is all for what has no cells in today's
  format: archived studies, and the benchmark.
"""

from ggsa.cli.verification import recorded, rederived
from ggsa.cli.verification.rederived import Check


def verify() -> list[Check]:
    """Return every group of checks over the published results of this repository."""
    return [
        *rederived.check_core(),
        rederived.check_readme(),
        *rederived.check_studies(),
        *recorded.check_manifests(),
    ]
