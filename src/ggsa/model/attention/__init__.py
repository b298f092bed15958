"""Attention under a pattern: three implementations with one meaning.

- *dense* (`dense.py`): one additive bias per batch, handed to PyTorch's attention. Any pattern.
- *grouped* (`grouped.py`): only the allowed pairs, in dense rectangles, on a CPU. The rectangles of
  a table are planned in `plan.py`, those of windows and separators in `banded.py`.
- *flex* (`flex.py`): the same plan driving FlexAttention, for GPUs.

`choice.py` says which one a batch gets under `auto`. `interface.py` lays a pattern over a batch and
registers the attention with transformers as `ggsa`, so that `attn_implementation="ggsa"` works on a
stock BERT or DistilBERT once this package is imported.
"""

from ggsa.model.attention.dense import pattern_bias, require_open_rows
from ggsa.model.attention.interface import NAME, Mask

__all__ = ["NAME", "Mask", "pattern_bias", "require_open_rows"]
