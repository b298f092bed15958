"""What of the corpus can be checked before anything is downloaded: `make check` does."""

from ggsa.assets import corpora, sentences
from ggsa.workspace import steps
from ggsa.workspace.config import Params


def check(params: Params) -> None:
    """Check the user's own files, and that no recipe that may be chosen has too few steps.

    Raises:
        UserError: If a file, a column, a label or a row is wrong, or a training would be too short.
    """
    most = most_sentences(params)
    if most is None:
        return
    recipes = possible_recipes(params)
    if all(steps.steps_of(params, name, most) < steps.FEWEST_STEPS for name in recipes):
        steps.require_steps(params, recipes[0], most)


def most_sentences(params: Params) -> int | None:
    """Return the largest number of training sentences that the corpus may have; None if unknown.

    Of a corpus that is local, it is the number that a run has under `train.rows: all`.
    """
    if not corpora.get(params.corpus.name).is_local:
        return params.corpus.limit
    train = sentences.obtain(params).tables["train"]
    return len(train) if params.train.use_leaking_rows else int((~train["leaks_selection"]).sum())


def possible_recipes(params: Params) -> list[str]:
    """Return the recipes of which training takes one: `auto` depends on what is available."""
    if params.train.recipe != "auto":
        return [params.train.recipe]
    corpus = corpora.get(params.corpus.name)
    if corpus.recipe:
        return [corpus.recipe]
    initialization = params.encoder.initialization
    names = ["pretrained", "from_scratch"] if initialization == "auto" else [initialization]
    return names if corpus.is_local else [*names, "probe"]  # its substitute is the probe corpus
