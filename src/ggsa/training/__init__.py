"""One cell trained, and studies made of cells."""

from ggsa._lazy import exports

__getattr__, __dir__, __all__ = exports(__name__, {"Study": "studies", "train_core_cell": "cell"})
