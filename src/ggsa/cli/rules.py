"""List the rules in force, where each comes from and how often it fires.

Reads what the rules stage counted on the training split.

Example::

  ggsa rules --sort density
"""

import argparse

COLUMNS = {"rule": "rule", "fires": "fires", "density": "density_share"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--sort", choices=COLUMNS, default="rule", help="by name, times it fires, or density"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print the table of rules."""
    from tabulate import tabulate

    from ggsa.patterns.rule_statistics import active_rules
    from ggsa.report import wording

    table = active_rules()
    table = table.sort_values(COLUMNS[arguments.sort], ascending=arguments.sort == "rule")
    rows = [
        (
            row.rule,
            row.source,
            wording.count(row.fires),
            wording.count(row.sentences),
            wording.percent(row.density_share),
            wording.percent(row.saving_if_dropped),
        )
        for row in table.itertuples()
    ]
    headers = ("rule", "from", "fires", "sentences", "of allowed pairs", "density saved")
    align = ("left", "left", *("right",) * 4)
    print(tabulate(rows, headers, disable_numparse=True, colalign=align))
    print(
        f"\n{len(rows)} rules between word tags, counted on the training split. Fires: pairs of "
        f"word pieces.\nDensity saved: by how much allowed over all pairs would fall without the "
        f"rule; a piece keeps itself.\nEvery token may attend itself besides; [CLS] has a row of its own "
        f"(rules.cls_attends_all)."
    )
