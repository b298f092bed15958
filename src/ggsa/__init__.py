"""Replicates grammatically guided sparse attention, and puts its patterns on other models.

Every public name is imported when it is first used, so that `import ggsa` alone is quick and needs
none of the packages that only the pipeline uses.
"""

from ggsa._lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "Classifier": "model.classifier",
        "Pattern": "patterns.pattern",
        "TAGS": "workspace.vocabulary",
        "UserError": "workspace.errors",
        "attach": "model.attachment",
        "explain": "cli.explaining",
        "export": "cli.exporting",
        "inputs": "model.attachment",
        "load": "model.classifier",
        "predict": "model.classifier",
        "read_pattern": "patterns.pattern",
        "verify": "cli.verification",
    },
)
