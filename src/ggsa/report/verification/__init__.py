"""Whether everything published follows from the published predictions; nothing is trained.

Place in the data flow: `python -m ggsa.report.verification`, called by `make verify`, after
`ggsa.report.publish` and the studies have written `reports/published/`. It needs neither `data/`
nor `runs/`, only what Git keeps, and writes nothing there. Each group of checks is one line:

- *re-derived* (`ggsa.report.verification.rederived`): the tables, verdicts and metrics of the core run,
  and the answers over all studies, are computed again from the published predictions by the
  functions that first made them, and compared cell by cell.
- *recorded* (`ggsa.report.verification.recorded`): every file of the published run against `SHA256SUMS`,
  the benchmark's against a list of its own, and what every study published (plans, cells, marks)
  against its `dvc.lock`. A file that nothing
  records is a failure too.
"""

from ggsa.report.verification import recorded, rederived
from ggsa.report.verification.findings import Check


def verify() -> list[Check]:
    """Return every group of checks over the published results of this repository."""
    return [
        *verify_core(),
        *recorded.check_benchmark(),
        *recorded.check_studies(),
        *rederived.check_all_answers(),
    ]


def verify_core() -> list[Check]:
    """Return the checks of the core run: what is computed again, the README, and the hashes."""
    return [*rederived.check_core(), rederived.check_readme(), recorded.check_manifest()]
