"""Which recipe a run trains with, and whether it makes enough steps of the corpus."""

from ggsa.tagging.splits import sentence_count, trained_rows
from ggsa.workspace import paths, steps
from ggsa.workspace.config import Params
from ggsa.workspace.provenance import read_provenance


def recipe_for(params: Params) -> str:
    """Return the name of the recipe: the configured one, or under `auto` the one for the assets."""
    if params.train.recipe != "auto":
        return params.train.recipe
    provenance = read_provenance()
    if provenance["corpus"]["name"] == "probe":
        return "probe"
    return "pretrained" if provenance["encoder"]["pretrained"] else "from_scratch"


def require_steps(params: Params, source: str = str(paths.PARAMS)) -> None:
    """Check that the corpus and the recipe give a training of enough steps.

    Args:
        params: With which cells will be trained.
        source: Where they are declared, for the message.

    Raises:
        UserError: See `ggsa.workspace.steps.require_steps`.
    """
    sentences = sentence_count("train", trained_rows(params.train))
    steps.require_steps(params, recipe_for(params), sentences, source)
