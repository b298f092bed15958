"""Public names that a package imports when they are first used."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def exports(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return the `__getattr__`, `__dir__` and `__all__` of a package.

    Args:
        package: Name of the package, its `__name__`.
        modules: For every public name the module that defines it, relative to the package.
    """

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            module = importlib.import_module(f"{package}.{modules[name]}")
        except ModuleNotFoundError as error:
            if (error.name or "ggsa").partition(".")[0] == "ggsa":  # ours, or not about a module
                raise
            raise ModuleNotFoundError(
                f"{package}.{name} needs {error.name}, which is not installed. Install the extra: "
                f"pip install 'ggsa[pipeline]'",
                name=error.name,
            ) from error
        return getattr(module, name)

    return load, lambda: sorted(modules), list(modules)
