"""What of the corpus can be checked before anything is downloaded: `make check` does."""

import sys

from ggsa.assets import checkpoints, corpora, sentences
from ggsa.workspace import steps
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError


def check(params: Params) -> None:
    """Check the user's own files, and that the recipe that will be used makes enough steps.

    Where only the Hub decides on the recipe, a recipe with too few steps is an error if all that
    may be used have too few, else a warning.

    Raises:
        UserError: If a file, a column, a label or a row is wrong, or a training would be too short.
    """
    most = most_sentences(params)
    if most is None:
        return
    recipes = possible_recipes(params)
    problems = [steps.shortage(params, recipe, most) for recipe in recipes]
    text = " ".join(filter(None, problems))
    if len(recipes) > 1:
        text = f"The recipe, {' or '.join(recipes)}, depends on what can be downloaded. {text}"
    if all(problems):
        raise UserError(text)
    if any(problems):
        print(f"check: {text}", file=sys.stderr, flush=True)


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
    corpus, source = corpora.get(params.corpus.name), params.assets.source
    if corpus.recipe:
        return [corpus.recipe]
    substitute = [] if corpus.is_local or source in ("hub", "mirror") else ["probe"]
    if substitute and source == "embedded":
        return substitute
    return [*checkpoints.possible_initializations(params), *substitute]
