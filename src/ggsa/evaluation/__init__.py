"""From predictions to accuracies, comparisons, verdicts and theoretical cost."""

from ggsa._lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "Architecture": "cost",
        "Results": "finished_cells",
        "evaluate": "core",
        "read_results": "finished_cells",
    },
)
