"""An encoder whose attention takes a pattern."""

from ggsa._lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "Classifier": "classifier",
        "Mask": "attention",
        "Prediction": "classifier",
        "attach": "attachment",
        "inputs": "attachment",
        "load": "classifier",
        "predict": "classifier",
    },
)
