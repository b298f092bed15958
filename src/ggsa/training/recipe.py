"""Which recipe a run trains with, and the fewest optimizer steps for which anything is trained."""

from ggsa.tagging.splits import read_words, trained_rows
from ggsa.workspace import paths
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.provenance import read_provenance

FEWEST_STEPS = 300
"""With fewer, a small model ends near the majority class in every mode, and all modes look equal."""


def recipe_for(params: Params) -> str:
    """Return the name of the recipe: the configured one, or under `auto` the one for the assets."""
    if params.train.recipe != "auto":
        return params.train.recipe
    provenance = read_provenance()
    if provenance["corpus"]["name"] == "probe":
        return "probe"
    return "pretrained" if provenance["encoder"]["pretrained"] else "from_scratch"


def require_steps(params: Params, source: str = str(paths.PARAMS)) -> None:
    """Check that the corpus and the recipe give a training of at least `FEWEST_STEPS` steps.

    Args:
        params: With which cells will be trained.
        source: Where they are declared, for the message.

    Raises:
        UserError: If there are fewer; names the epochs that reach it.
    """
    name = recipe_for(params)
    recipe = params.train.recipes[name]
    rows = len(read_words("train", trained_rows(params.train)))
    per_epoch = -(-rows // recipe.batch_size)
    steps = per_epoch * recipe.epochs
    if steps < FEWEST_STEPS:
        more = "raise corpus.limit" if params.corpus.limit else "add rows"
        raise UserError(
            f"{source}: train.recipes.{name}.epochs is {recipe.epochs}, which is {steps:,} optimizer "
            f"steps ({rows:,} training sentences in batches of {recipe.batch_size}). Expected at least "
            f"{FEWEST_STEPS}: with fewer, models do not learn, and all modes look equal. Set it to "
            f"{-(-FEWEST_STEPS // per_epoch)}, or {more}."
        )
