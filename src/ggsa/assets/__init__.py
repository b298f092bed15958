"""Obtains and verifies the three assets of a run: corpus, tagger and encoder."""

from ggsa._lazy import exports

__getattr__, __dir__, __all__ = exports(__name__, {"download": "acquisition"})
