"""Grammatically-guided sparse attention, replicated: corpus, tags, rules, model, measurement.

What is meant to be used outside the pipeline is found here by name, and loaded when it is first
asked for: `import ggsa` alone costs nothing.
"""

import importlib
from typing import Any

_PUBLIC = {
    "Classifier": "model.classifier",
    "Pattern": "patterns.pattern",
    "TAGS": "workspace.vocabulary",
    "UserError": "workspace.errors",
    "attach": "model.attach",
    "explain": "cli.explaining",
    "export": "cli.exporting",
    "inputs": "model.attach",
    "load": "model.classifier",
    "read_pattern": "patterns.pattern",
    "tag": "tagging.tagger",
    "verify": "report.verification",
}
"""Public name -> the module that holds it; `tag` is its `tag_texts`."""

_RENAMED = {"tag": "tag_texts"}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'ggsa' has no attribute {name!r}")
    module = importlib.import_module(f"ggsa.{_PUBLIC[name]}")
    return getattr(module, _RENAMED.get(name, name))


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
