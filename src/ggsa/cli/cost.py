"""Show what a density of allowed pairs would save on a model, in theory and in measured time.

The density is that of a mode on the training split, hard by default, or the one given. Times are
those of the published benchmark, interpolated between its lengths and numbers of heads; outside of
them none is quoted. The net time of a sentence includes its tagging.

Example::

  ggsa cost --length 4096 --layers 12 --hidden 768
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--length", type=int, required=True, help="length of a text, in word pieces"
    )
    parser.add_argument("--layers", type=int, default=12, help="default 12, as BERT-base")
    parser.add_argument("--hidden", type=int, default=768, help="width; default 768")
    parser.add_argument("--heads", type=int, help="default hidden / 64")
    parser.add_argument("--feed-forward", type=int, help="width; default 4 x hidden")
    parser.add_argument("--mode", default="hard", help="whose pattern; default hard")
    parser.add_argument("--density", type=float, help="allowed over all pairs, instead of a mode's")
    parser.add_argument(
        "--words", type=int, help="words to tag; default: one for every piece but two"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print the savings."""
    from tabulate import tabulate

    from ggsa.cli.savings import savings
    from ggsa.report import wording

    saved = savings(
        arguments.length,
        arguments.layers,
        arguments.hidden,
        arguments.feed_forward,
        arguments.mode,
        arguments.density,
        arguments.heads,
        arguments.words,
    )
    rows = [
        ("allowed pairs", wording.percent(saved.density)),
        ("attention FLOPs, full", wording.quantity(saved.full_attention_flops)),
        ("attention FLOPs saved", wording.percent(1 - saved.density)),
        ("attention's share of the model", wording.percent(saved.attention_share)),
        ("model FLOPs saved", wording.percent(saved.saving_model)),
        ("largest speed-up of the model", f"{1 / (1 - saved.saving_model):.2f} x"),
    ]
    print(tabulate(rows, tablefmt="plain", colalign=("left", "right"), disable_numparse=True))
    print(f"\n{saved.note}")
