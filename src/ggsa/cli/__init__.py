"""The command `ggsa`: one sentence, one model or one file at a time, outside the pipeline."""

from ggsa._lazy import exports

__getattr__, __dir__, __all__ = exports(__name__, {"main": "commands", "parser": "commands"})
