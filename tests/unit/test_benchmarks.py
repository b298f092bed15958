"""What the benchmarks time, and how times become a table; no test depends on a time."""

import importlib
import pkgutil

import numpy as np
import pytest
import torch

import benchmarks
from benchmarks import naive, texts, timing
from benchmarks.timing import interleaved
from ggsa.model import attention
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.rules import hard_table
from ggsa.patterns.tag_tables import blocked_outside
from ggsa.tagging.alignment import TaggedPieces
from ggsa.workspace import config
from ggsa.workspace.vocabulary import CLS, SEP, TAGS

SIZE = len(TAGS)
MODULES = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "__main__"])
def test_every_benchmark_imports_names_that_the_package_has(name: str) -> None:
    importlib.import_module(f"benchmarks.{name}")


def source() -> TaggedPieces:
    random = np.random.default_rng(0)
    tags = [
        np.concatenate(([TAGS.index(CLS)], random.integers(0, SIZE - 2, length), [TAGS.index(SEP)]))
        for length in random.integers(1, 30, 40)
    ]
    return TaggedPieces(tags, tags, np.arange(len(tags)))


@pytest.mark.parametrize("kind", [texts.REAL, texts.INDEPENDENT])
def test_a_joined_text_starts_with_its_only_cls_and_ends_with_its_only_sep(kind: str) -> None:
    batch = texts.joined(source(), 3, 200, kind)
    assert batch.tags.shape == (3, 200)
    assert (batch.tags[:, 0] == TAGS.index(CLS)).all()
    assert (batch.tags[:, -1] == TAGS.index(SEP)).all()
    assert not torch.isin(
        batch.tags[:, 1:-1], torch.tensor([TAGS.index(CLS), TAGS.index(SEP)])
    ).any()


def test_shuffled_tags_are_the_tags_of_the_joined_text() -> None:
    real, shuffled = (
        texts.joined(source(), 1, 100, kind) for kind in (texts.REAL, texts.INDEPENDENT)
    )
    assert sorted(real.tags[0].tolist()) == sorted(shuffled.tags[0].tolist())
    assert real.tags[0].tolist() != shuffled.tags[0].tolist()


def test_the_mask_by_loops_blocks_what_the_hard_table_blocks() -> None:
    rules = config.load().rules
    hard = hard_table(rules, None, np.zeros((1, SIZE)))
    batch = texts.joined(source(), 2, 40, texts.REAL)
    ours = attention.Mask(Pattern("hard", TAGS, blocked_outside(hard)), torch.device("cpu")).bias(
        batch
    )
    loops = naive.mask_by_loops([[TAGS[tag] for tag in row] for row in batch.tags], rules.hard, 0.0)
    assert torch.equal(torch.isfinite(ours), loops == 0)


def test_a_line_has_the_median_ratio_its_quartiles_and_the_realized_saving() -> None:
    times = {"a": np.array([1.0, 2.0, 3.0]), "b": np.array([2.0, 2.0, 2.0])}
    line = timing.line(times, "a", "b", 0.5)
    assert (line["ratio"], line["ratio_low"], line["ratio_high"]) == (1.0, 0.75, 1.25)
    assert line["realised"] == 0
    assert list(timing.table([line]).columns) == list(timing.COLUMNS)


def test_every_contestant_runs_once_a_round() -> None:
    count = {"a": 0, "b": 0}

    def call(name: str):
        def counted() -> None:
            count[name] += 1

        return counted

    times = interleaved({name: call(name) for name in count}, 0.0, fewest=4)
    assert {name: len(values) for name, values in times.items()} == {"a": 4, "b": 4}
    assert count == {"a": 5, "b": 5}  # one more of each before the clock


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_the_gpu_benchmark_needs_cuda(monkeypatch) -> None:
    from benchmarks import gpu

    monkeypatch.setattr("sys.argv", ["benchmarks.gpu"])
    with pytest.raises(SystemExit, match="finds no CUDA device"):
        gpu.main()
