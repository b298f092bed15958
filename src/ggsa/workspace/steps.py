"""The fewest optimizer steps for which anything is trained, and the error for fewer."""

from ggsa.workspace import paths
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError

FEWEST_STEPS = 300
"""With fewer, a small model ends near the majority class in every mode, and all modes look equal."""


def steps_of(params: Params, recipe: str, sentences: int) -> int:
    """Return the optimizer steps of a training on so many sentences."""
    chosen = params.train.recipes[recipe]
    return -(-sentences // chosen.batch_size) * chosen.epochs


def require_steps(
    params: Params, recipe: str, sentences: int, source: str = str(paths.PARAMS)
) -> None:
    """Check that a recipe gives a training of at least `FEWEST_STEPS` steps.

    Args:
        params: With which cells will be trained.
        recipe: One of train.recipes.
        sentences: Number of training sentences.
        source: Where the parameters are declared, for the message.

    Raises:
        UserError: If there are fewer; names the epochs that reach it.
    """
    problem = shortage(params, recipe, sentences, source)
    if problem:
        raise UserError(problem)


def shortage(
    params: Params, recipe: str, sentences: int, source: str = str(paths.PARAMS)
) -> str | None:
    """Return what is wrong where a recipe gives too few steps, else None; see `require_steps`."""
    steps = steps_of(params, recipe, sentences)
    if steps >= FEWEST_STEPS:
        return None
    chosen = params.train.recipes[recipe]
    more = "raise corpus.limit" if params.corpus.limit else "add rows"
    return (
        f"{source}: train.recipes.{recipe}.epochs is {chosen.epochs}, which is {steps:,} optimizer "
        f"steps ({sentences:,} training sentences in batches of {chosen.batch_size}). Expected at "
        f"least {FEWEST_STEPS}: with fewer, models do not learn, and all modes look equal. Set it "
        f"to {-(-FEWEST_STEPS // -(-sentences // chosen.batch_size))}, or {more}."
    )
