"""List the active rules, where each comes from and how often it fires.

Reads what the stage `rules` counted on the training split.

Example::

  ggsa rules --sort density
"""

import argparse

COLUMNS = {"rule": "rule", "fires": "fires", "density": "density_share"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--sort",
        choices=COLUMNS,
        default="rule",
        help="by name, by how often it fires, or by density",
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
        f"word pieces.\nDensity saved: how much the density would fall without the rule; every piece "
        f"keeps itself.\nEvery token may also attend to itself; [CLS] has its own row "
        f"(rules.cls_attends_all)."
    )
