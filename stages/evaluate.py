"""Measure accuracy, significance, cost and attention over all cells of the grid."""

from ggsa.evaluation import attention_maps, core, plots
from ggsa.workspace import config
from stages import run


def main() -> None:
    """Write reports/metrics.json, reports/tables and reports/plots."""
    params = config.load()
    results = core.evaluate(params)
    attention_maps.write_tables(params)
    plots.write_tables(results)


if __name__ == "__main__":
    run(main)
