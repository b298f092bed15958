"""What `studies/interpretability/settings.yaml` may say."""

from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from ggsa.workspace import paths
from ggsa.workspace.config import Block
from ggsa.workspace.errors import UserError

Count = Annotated[int, Field(ge=1)]


class Treebank(Block):
    """Which sentences of the treebank are used, and how far a fixed offset may reach."""

    sentences: Count
    shortest: Count
    longest: Count
    offsets: Count


class Erasure(Block):
    """How many words are deleted."""

    share: Annotated[float, Field(gt=0, lt=1)]
    shortest: Annotated[int, Field(ge=2)]
    draws: Count


class Settings(Block):
    """The whole of settings.yaml."""

    sentences: Count | None
    treebank: Treebank
    erasure: Erasure
    content_tags: tuple[str, ...]


def load() -> Settings:
    """Return the settings.

    Raises:
        UserError: If the file is missing or wrong.
    """
    path = paths.STUDIES / "interpretability" / "settings.yaml"
    try:
        return Settings.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValidationError, yaml.YAMLError) as error:
        raise UserError(f"{path} is wrong; nothing was measured.\n  {error}") from error
