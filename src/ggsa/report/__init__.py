"""The notebooks that read finished tables and draw them, joined into one HTML page and published."""

from ggsa._lazy import exports

__getattr__, __dir__, __all__ = exports(__name__, {"render": "rendering"})
