"""Show who may look at whom in a sentence, under every mode, and what that costs.

With --run also what a trained model says of it and where it really looked. Wants a finished
`make repro`, whose tagger and patterns it uses.

Example::

  ggsa explain "The plot is thin, but the acting is not bad at all."
  ggsa explain --run runs/core/hard-42 --out page.html "A clumsy script wastes two funny actors."
"""

import argparse
from pathlib import Path

MOST_KEYS = 12
"""Words that are named in a line; the others are counted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("sentence", metavar="SENTENCE", help="raw text, in quotes")
    parser.add_argument("--run", dest="model", metavar="RUN", help="a trained run or an export")
    parser.add_argument("--tags", help='in place of the tagger\'s, e.g. "DET NOUN AUX ADJ"')
    parser.add_argument("--out", type=Path, metavar="FILE", help="a picture: .html or .png")


def run(arguments: argparse.Namespace) -> None:
    """Print the explanation, and draw it where asked."""
    from ggsa.cli import picture
    from ggsa.cli.explaining import explain

    if arguments.out is not None:
        picture.check_ending(arguments.out)
    tags = None if arguments.tags is None else tuple(arguments.tags.split())
    found = explain(arguments.sentence, arguments.model, tags)
    print(text(found))
    if arguments.out is not None:
        picture.write(found, arguments.out)
        print(f"\nWritten: {arguments.out.resolve()}")


def text(found: "Explanation") -> str:  # noqa: F821 - imported when needed
    """Return an explanation for a terminal."""
    from tabulate import tabulate

    pieces = sum(map(len, found.pieces))
    rows = [
        (name, tag, " ".join(split) if len(split) > 1 else "")
        for name, tag, split in zip(found.names, found.tags, found.pieces, strict=True)
    ]
    parts = [
        tabulate(rows, ("word", "tag", "word pieces, if several"), disable_numparse=True),
        f"{len(found.tokens) - 2} words, {pieces} word pieces with [CLS] and [SEP]",
    ]
    for lookout in found.lookouts:
        parts.append("\n".join([_headline(lookout, pieces), *_lines(found, lookout)]))
    if found.prediction is not None:
        parts.append(_model(found))
    return "\n\n".join(parts)


def _headline(lookout: "Lookout", pieces: int) -> str:  # noqa: F821
    from ggsa.report.wording import percent

    return (
        f"{lookout.mode}: {lookout.pairs} of {pieces**2} pairs of pieces allowed (density "
        f"{lookout.density:.3f}); saves {percent(1 - lookout.density)} of the attention FLOPs, "
        f"{percent(lookout.saving_model)} of the model's"
    )


def _lines(found: "Explanation", lookout: "Lookout") -> list[str]:  # noqa: F821
    if lookout.allowed.all() and not lookout.favored.any():
        return ["  every token may look at every token"]
    shown = lookout.favored if lookout.allowed.all() else lookout.allowed
    verb = "favors" if lookout.allowed.all() else "may look at"
    width = max(map(len, found.names))
    return [
        f"  {name:{width}} {verb} {_named(found.names, row)}"
        for name, row in zip(found.names, shown, strict=True)
    ]


def _named(tokens: tuple[str, ...], row: "np.ndarray") -> str:  # noqa: F821
    if row.all():
        return "everything"
    named = [token for token, there in zip(tokens, row, strict=True) if there]
    if not named:
        return "nothing in particular"
    rest = len(named) - MOST_KEYS
    return ", ".join(named[:MOST_KEYS]) + (f" and {rest} more" if rest > 0 else "")


def _model(found: "Explanation") -> str:  # noqa: F821
    from ggsa.report.wording import percent

    label, probabilities = found.prediction
    said = ", ".join(f"{name} {percent(value)}" for name, value in probabilities.items())
    lines = [f"{found.run} says {label} ({said})."]
    for layer, weights in enumerate(found.weights.mean(axis=1)):  # [query, key], mean over heads
        order = weights[0].argsort()[::-1][:5]
        looked = ", ".join(f"{found.names[key]} {percent(weights[0, key])}" for key in order)
        lines.append(f"  [CLS] looked in layer {layer + 1}, mean of heads, at {looked}")
    return "\n".join(lines)
