"""The report: notebooks that read the finished tables and draw, joined into one HTML page.

Place in the data flow: the last stage. Reads `reports/tables`, `data/rules/statistics` and
`data/corpus/provenance.json`, computes no result, and writes `reports/report.html` and
`reports/figures/*.png`, equal to the byte when nothing changed. `ggsa.report.publish` copies a run
to `reports/published/`; `ggsa.report.summary` prints its table on the terminal.
"""

from ggsa.workspace.config import Params


def render(params: Params) -> None:
    """Write reports/report.html and reports/figures/*.png from the tables of the latest run.

    Raises:
        UserError: If a table is missing or malformed, or a notebook fails or takes longer than
            `report.timeout_seconds` a cell; the message names the partly executed notebook.
    """
    # Imported here because the notebooks import this package too, and need none of it.
    from ggsa.report import rendering

    rendering.render_report(params)
