"""What attention under a pattern costs in seconds, side by side with a named peer.

`make bench` runs everything that a CPU can and writes `reports/published/benchmark/`. Nothing here is
a test and nothing depends on a time: one module a question, each run alone by
`python -m benchmarks.<module>`.

- `attention.py`: the bare operation at 128 to 8,192 tokens; `--fit` fits the model behind `auto`.
- `layer.py`: one encoder layer, projections and feed-forward included.
- `step.py`: one training step on the corpus, and a mask built by loops as the paper's code does.
- `attention_memory.py`: peak memory of attention against length.
- `memory.py`: peak memory of tagging and of training data against the corpus; not part of `make bench`.
- `tagging.py`: words a second.
- `gpu.py`: attention and a whole model on a GPU; not part of `make bench`.
"""
