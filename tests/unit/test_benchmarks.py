"""What the benchmarks time, and how times become a table; no test depends on a time."""

import importlib
import pkgutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_models
import torch
from segment_reference import LOOP

import benchmarks
from benchmarks import gpu, memory, naive, texts, timing
from benchmarks.timing import interleaved
from ggsa.model import attachment, attention
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.rules import hard_table
from ggsa.patterns.tag_tables import blocked_outside
from ggsa.tagging.alignment import Ragged, TaggedPieces
from ggsa.workspace import artifacts, config, paths
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
    rows = Ragged.of(tags)
    return TaggedPieces(rows, rows, np.arange(len(tags)))


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
    monkeypatch.setattr("sys.argv", ["benchmarks.gpu"])
    with pytest.raises(SystemExit, match="finds no CUDA device"):
        gpu.main()


HARD = Pattern("hard", TAGS, blocked_outside(np.eye(SIZE, dtype=bool)))
CPU = torch.device("cpu")
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2} | {
    "intermediate_size": 64,
    "vocab_size": 100,
}


@pytest.mark.parametrize("backward", [False, True])
def test_the_gpu_benchmark_times_attention_and_its_share_of_the_planning(backward: bool) -> None:
    lines = gpu.attention_case(source(), HARD, CPU, 24, backward, 2, 0.0, heads=2, kernel=LOOP)
    timed = {line["ours"]: line for line in lines if line["peer"] == gpu.FLASH}
    assert {gpu.DENSE, gpu.GROUPED, gpu.MAKING, gpu.PLANNING, gpu.GROUPED + gpu.ONCE} <= set(timed)
    assert timed[gpu.AUTO + gpu.ONCE]["ratio"] == timed[gpu.DENSE + gpu.ONCE]["ratio"]
    assert all(line["rounds"] == gpu.ROUNDS[0] and line["value_ours"] > 0 for line in lines)


@pytest.mark.parametrize("training", [False, True])
def test_the_gpu_benchmark_times_a_whole_model(training: bool) -> None:
    lines = gpu.model_case(source(), HARD, CPU, 24, training, 2, 0.0, SMALL)
    assert {gpu.DENSE, gpu.GROUPED} == {line["ours"] for line in lines if line["peer"] == gpu.SDPA}


def test_a_pattern_on_one_model_of_the_gpu_benchmark_leaves_the_other_without() -> None:
    full, sparse = (gpu.model_of(24, CPU, SMALL) for _ in range(2))
    attachment.attach(sparse, HARD, "grouped")
    assert full.config._attn_implementation == "sdpa"
    assert sparse.config._attn_implementation == attention.NAME


def test_a_case_of_the_gpu_benchmark_that_fails_is_left_out(capsys) -> None:
    def fails() -> None:
        raise RuntimeError("out of memory")

    times = gpu.measured({"works": lambda: 1, "fails": fails}, 0.0, gpu.clock_of(CPU))
    assert list(times) == ["works"]
    assert "fails cannot run here: RuntimeError: out of memory" in capsys.readouterr().err


def test_the_memory_of_a_generated_corpus_is_measured_in_other_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ENCODER", "TAGGER", "CACHE"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    small_models.tokenizer(paths.ENCODER)
    artifacts.write_json(paths.TAGGER / "tagger.json", {"sha256": "0" * 64})
    lines = [*memory.run(2_000, 0)]
    assert [line["what"] for line in lines] == ["tags", "training"]
    for line in lines:
        assert line["sentences"] == 2_000 and line["tagger"] == memory.CONSTANT
        assert line["seconds"] > 0 and line["worker_peak_mib"] < line["peak_mib"]
        assert 50 < line["peak_mib"] < line["bound_mib"]
    assert not [*paths.CACHE.iterdir()]


def test_generated_sentences_have_twenty_words_in_the_mean_and_seldom_repeat() -> None:
    known = [f"word{i}" for i in range(1000)]
    tables = [*memory.generated("train", 25_000, known, np.random.default_rng(1))]
    rows = pd.concat(tables)
    assert [len(table) for table in tables] == [10_000, 10_000, 5_000]
    assert rows["words"].map(len).mean() == pytest.approx(20, abs=0.2)
    assert len({tuple(words) for words in rows["words"]}) > 24_900
    assert rows["id"].is_unique and {"leaks_selection", "whole_sentence"} < {*rows.columns}
