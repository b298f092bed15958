"""Attention under a pattern: two implementations with the same result.

- *dense* (`dense.py`): one additive mask per batch, passed to PyTorch's attention. Any pattern.
- *grouped* (`grouped.py`): only the allowed pairs, in dense rectangles. On a CPU the rectangles of a
  table are planned in `plan.py`, those of windows and separators in `banded.py`. On a GPU tables are
  planned as segments in `segments.py`, and `varlen.py` computes them.

`mask.py` turns the tags of a batch into its mask or its plan; `choice.py` decides which one under
`auto`. `interface.py` registers the attention with transformers as `ggsa`, so that
`attn_implementation="ggsa"` works on a stock BERT or DistilBERT once this package is imported.
"""

from ggsa.model.attention.interface import NAME
from ggsa.model.attention.mask import Mask, pattern_bias, require_open_rows

__all__ = ["NAME", "Mask", "pattern_bias", "require_open_rows"]
