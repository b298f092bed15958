"""What a stage has kept so far, so that an interrupted one can say it.

Place in the data flow: none. Whatever keeps work between two runs notes it here once it is safe;
`stages` prints the note when Ctrl-C ends a stage.
"""

_noted = {"kept": "What was finished is kept."}


def keeps(sentence: str) -> None:
    """Note in a sentence what is kept if the stage is interrupted from now on."""
    _noted["kept"] = sentence


def last_words() -> str:
    """Return what an interrupted stage says: what is kept, and how to go on."""
    return (
        f"Interrupted. {_noted['kept']} `make repro`, or the command you gave, goes on from there."
    )
