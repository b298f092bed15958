"""The pattern in a model's configuration, which is saved and loaded with the model.

A model that carries a pattern has the model type `ggsa_bert`, `ggsa_distilbert` or
`ggsa_modernbert`. Without this package the auto classes of transformers reject its folder, and a
stock class warns: either would run it with full attention. With this package they return it attached.
"""

import copy
import importlib
from pathlib import Path
from typing import Any

from transformers import (
    AutoConfig,
    BertConfig,
    DistilBertConfig,
    ModernBertConfig,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.models.auto import auto_factory, configuration_auto, modeling_auto

from ggsa.patterns.pattern import Pattern, pattern_as_json, pattern_from_json
from ggsa.workspace.vocabulary import MODEL_PREFIX

CARRIED = "ggsa_pattern"
"""Key of config.json under which a model carries its pattern."""


class GgsaBertConfig(BertConfig):
    """Of a BERT that carries a pattern."""

    model_type = f"{MODEL_PREFIX}bert"


class GgsaDistilBertConfig(DistilBertConfig):
    """Of a DistilBERT that carries a pattern."""

    model_type = f"{MODEL_PREFIX}distilbert"


class GgsaModernBertConfig(ModernBertConfig):
    """Of a ModernBERT that carries a pattern."""

    model_type = f"{MODEL_PREFIX}modernbert"


CONFIGURATIONS = {
    "bert": GgsaBertConfig,
    "distilbert": GgsaDistilBertConfig,
    "modernbert": GgsaModernBertConfig,
}
"""The configuration of a model that carries a pattern, by the model type without a pattern."""


def carry(model: PreTrainedModel, pattern: Pattern) -> None:
    """Put a pattern into a model's configuration, which it then shares with no other model."""
    stock = model.config
    config = copy.deepcopy(stock)
    config.__class__ = CONFIGURATIONS[architecture(config)]
    setattr(config, CARRIED, pattern_as_json(pattern))
    for module in model.modules():
        if getattr(module, "config", None) is stock:
            module.config = config


def carried(config: PretrainedConfig) -> Pattern | None:
    """Return the pattern in a configuration; None where it has none."""
    content = getattr(config, CARRIED, None)
    return None if content is None else pattern_from_json(content, Path("config.json"))


def architecture(config: PretrainedConfig) -> str:
    """Return the model type without our prefix, such as `bert`."""
    return config.model_type.removeprefix(MODEL_PREFIX)


def stock_class(config: PretrainedConfig, mapping: Any) -> type[PreTrainedModel]:
    """Return the class of transformers for a configuration.

    Args:
        config: With or without a pattern.
        mapping: The `_model_mapping` of an auto class.
    """
    return mapping[configuration_auto.CONFIG_MAPPING[architecture(config)]]


class _Attached:
    """Stands for a class of transformers in an auto class, and returns its models attached."""

    def __init__(self, mapping: Any, name: str) -> None:
        self.mapping, self.__name__ = mapping, name

    def from_pretrained(self, *args: Any, config: PretrainedConfig, **kwargs: Any) -> Any:
        """Load a model, and attach the pattern that it carries."""
        kind = stock_class(config, self.mapping)
        return _attached(kind.from_pretrained(*args, config=config, **kwargs))

    def _from_config(self, config: PretrainedConfig, **kwargs: Any) -> Any:
        return _attached(stock_class(config, self.mapping)._from_config(config, **kwargs))


def _attached(loaded: Any) -> Any:
    """Return what `from_pretrained` returned, its model attached."""
    attach = importlib.import_module("ggsa.model.attachment").attach  # it imports this module
    if isinstance(loaded, tuple):  # with output_loading_info
        return (attach(loaded[0]), *loaded[1:])
    return attach(loaded)


def _register() -> None:
    """Register our model types with the auto classes of transformers."""
    mappings = [
        value
        for value in vars(modeling_auto).values()
        if isinstance(value, auto_factory._LazyAutoMapping)
    ]
    for name, config in CONFIGURATIONS.items():
        AutoConfig.register(config.model_type, config)
        for mapping in mappings:
            if name in mapping._model_mapping:
                mapping.register(config, _Attached(mapping, mapping._model_mapping[name]))


_register()
