"""Measure accuracy, significance, cost and attention over all cells of the grid."""

from ggsa import attention_maps, config, evaluation
from stages import run


def main() -> None:
    """Write reports/metrics.json and reports/tables."""
    params = config.load()
    evaluation.evaluate(params)
    attention_maps.write_tables(params)


if __name__ == "__main__":
    run(main)
