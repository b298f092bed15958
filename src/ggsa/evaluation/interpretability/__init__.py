"""Is attention under a pattern easier to interpret? The paper's claim C6, measured on core's cells.

`measure` runs all of it; `attention`, `dependency` and `erasure` hold the measures, `ratios` the
intervals, `tables` the rows and verdicts, `sentences` the settings and the sentences.
"""
