"""Which tokens may attend to which: rules, tables, modes, positional patterns and controls."""

from ggsa._lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "MODES": "modes",
        "Pattern": "pattern",
        "Positional": "positional",
        "read_pattern": "pattern",
        "write_pattern": "pattern",
    },
)
