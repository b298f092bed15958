"""Is attention under a pattern easier to interpret? The paper's claim C6, measured.

Reads trained models and writes tables to `reports/published/studies/interpretability/`. `attention`
reads off tag pairs, entropy and the words that `[CLS]` looks at; `dependency` compares heads with a
treebank, `erasure` deletes words, `deciding` knows the word that a probe sentence turns on;
`resampling` says how sure a number is, `tables` writes rows, `measure` runs it all.
"""

from ggsa.evaluation.interpretability.measure import (
    kept_models,
    measure,
    measured,
    selection_weights,
)

__all__ = ["kept_models", "measure", "measured", "selection_weights"]
