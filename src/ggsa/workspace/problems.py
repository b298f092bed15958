"""What is wrong in a checked file, in words: the key, what stands there and what would be right.

Used by `ggsa.workspace.config`, whose models find the problems.
"""

import difflib
from typing import Any, get_args


def described(found: list, content: dict, root: Any) -> str:
    """Say in one line which key is wrong, what stands there and what would be right.

    Args:
        found: The problems of one key: several where its value may be of several types.
        content: The whole file.
        root: The model of the whole file.
    """
    choices = [problem for problem in found if problem["type"] == "literal_error"]
    if len(found) > 1 and choices:
        others = described([problem for problem in found if problem not in choices], content, root)
        return f"{others} Or write {choices[0]['ctx']['expected']}."
    problem = found[0]
    steps = [step for step in problem["loc"] if not names_a_type(step)]
    key = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps).lstrip(".")
    kind, given = problem["type"], problem["input"]
    if kind == "extra_forbidden":
        known = _known_keys(root, steps[:-1])
        return f"{key}: {unknown(str(steps[-1]), 'key', known)}"
    if kind == "missing":
        return f"{key}: is missing. Every key must be written; see the committed params.yaml."
    if kind == "literal_error":
        known = problem["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"{key}: {unknown(str(given), 'choice', known)}"
    message = (
        problem["msg"]
        .replace("valid tuple", "list")
        .removeprefix("Value error, ")
        .removesuffix(".")
    )
    if kind == "value_error":
        return f"{key}: {message}." if key else f"{message}."
    return f"{key}: {message[0].lower()}{message[1:]}; there stands {given!r}."


def names_a_type(step: Any) -> bool:
    """Return whether a step of a location is one of the types of a union, not a key."""
    return step in ("int", "bool", "constrained-int") or str(step).startswith("literal[")


def _known_keys(root: Any, steps: list) -> list[str]:
    block: Any = root
    for step in steps:
        field = block.model_fields.get(step) if hasattr(block, "model_fields") else None
        if field is None:  # a mapping of names to blocks: the keys of the block
            block = get_args(block)[1]
            continue
        block = field.annotation
    return list(block.model_fields)


def unknown(name: str, kind: str, known: tuple[str, ...] | list[str]) -> str:
    """Say that a name is unknown, what was probably meant, and what there is."""
    folded = {item.lower(): item for item in known}
    close = difflib.get_close_matches(name.lower(), folded, n=1)
    prefix = [folded[item] for item in folded if name.lower().startswith(item)]
    guess = prefix or [folded[item] for item in close]
    hint = f"Did you mean {guess[0]}? " if guess else ""
    return f"{name} is no known {kind}. {hint}There are: {', '.join(known)}."
