"""The pattern in a model's configuration, which is saved and loaded with the model.

A model that carries a pattern has the model type `ggsa_bert`, `ggsa_distilbert` or
`ggsa_modernbert`. Without this package the auto classes of transformers reject its folder, and a
stock class warns: either would run it with full attention. Once `ggsa.attach` has been used, they
return it attached.
"""

import copy
from collections.abc import Callable
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

for _config in CONFIGURATIONS.values():
    AutoConfig.register(_config.model_type, _config)

Attach = Callable[[PreTrainedModel], PreTrainedModel]


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

    def __init__(self, mapping: Any, name: str, attach: Attach) -> None:
        self.mapping, self.__name__, self.attach = mapping, name, attach

    def from_pretrained(self, *args: Any, config: PretrainedConfig, **kwargs: Any) -> Any:
        """Load a model, and attach the pattern that it carries."""
        chosen = kwargs.get("attn_implementation", config._attn_implementation)
        kind = stock_class(config, self.mapping)
        loaded = kind.from_pretrained(*args, config=config, **kwargs)
        model, *information = loaded if isinstance(loaded, tuple) else (loaded,)
        self.attach(model)
        if chosen:  # which `attach` has replaced
            model.set_attn_implementation(chosen)
        return (model, *information) if information else model

    def _from_config(self, config: PretrainedConfig, **kwargs: Any) -> Any:
        return self.attach(stock_class(config, self.mapping)._from_config(config, **kwargs))


def register(attach: Attach) -> None:
    """Have the auto classes of transformers return models of our types attached.

    Args:
        attach: Puts the pattern that a model carries on it.
    """
    mappings = [
        value
        for value in vars(modeling_auto).values()
        if isinstance(value, auto_factory._LazyAutoMapping)
    ]
    for name, config in CONFIGURATIONS.items():
        for mapping in mappings:
            if name in mapping._model_mapping:
                kind = _Attached(mapping, mapping._model_mapping[name], attach)
                mapping.register(config, kind)
