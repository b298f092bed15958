"""What every other package uses: parameters, paths, files, errors, progress and the tags."""

from ggsa._lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "CLS": "vocabulary",
        "Params": "config",
        "SEP": "vocabulary",
        "TAGS": "vocabulary",
        "UNIVERSAL_TAGS": "vocabulary",
        "UserError": "errors",
    },
)
