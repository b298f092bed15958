"""Obtains and verifies the three assets of a run: corpus, tagger and encoder."""

from importlib import import_module
from typing import Any

_PUBLIC = {"download": "acquisition"}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    # Loaded when first used: it imports PyTorch and Stanza, which the names of corpora do not need.
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
