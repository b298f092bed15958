"""The aggregating stage on small grids of made-up predictions, with real files and tokenizer."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from transformers import BertConfig, BertTokenizerFast

from ggsa.evaluation import core
from ggsa.evaluation.finished_cells import read_results
from ggsa.patterns.density import density
from ggsa.patterns.pattern import Pattern, read_pattern, write_pattern
from ggsa.tagging.splits import tagged_splits
from ggsa.training import studies
from ggsa.workspace import artifacts, config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import write_table
from ggsa.workspace.vocabulary import TAGS

ROOT = Path(__file__).parents[2]
SEEDS = [1, 2, 3]
MODES = ("full", "hard", "soft", "diagonal")
ROWS = {"selection": 6, "validation": 40, "test": 60, "examples": 2}
MACHINE = {"cpu_vendor": "Maker", "threads": 1, "torch": "2", "device": "cpu"}
COLUMNS = {
    "arms": "arm mode split seeds n accuracy_mean accuracy_sd accuracy_min accuracy_max "
    "prediction_low prediction_high f1_mean f1_sd density",
    "runs": "arm mode seed split n correct accuracy wilson_low wilson_high f1",
    "differences": "arm reference split seeds n difference_points low_points high_points p "
    "bootstrap_low_points bootstrap_high_points smallest_points discordant_share",
    "verdicts": "family question kind arm reference split seeds n margin_points difference_points "
    "low_points high_points level p p_holm p_worse p_worse_holm p_two_sided p_two_sided_holm "
    "smallest_points test_difference_points fresh_difference_points floor share share_low share_high "
    "verdict",
    "baselines": "baseline split n accuracy wilson_low wilson_high",
    "mcnemar": "mode seed split only_full_right only_mode_right p",
    "cost": "mode split sentences pieces_mean pairs allowed_pairs density attention_flops "
    "full_attention_flops model_flops full_model_flops attention_share saving_attention "
    "saving_model key_value_bytes",
    "cost_by_length": "mode length density attention_flops model_flops full_attention_flops "
    "full_model_flops attention_share saving_model encoder",
    "density_by_length": "mode split length_from length_to sentences density",
    "cells": "arm mode seed recipe checkpoint_step",
    "history": "step epoch loss selection_accuracy arm mode seed",
    "confusion": "mode split label predicted share",
    "claims": "claim statement paper ours interval verdict evidence",
}
COLUMNS["results"] = COLUMNS["arms"] + " paper paper_low paper_high difference_points verdict"


def parameters(modes=MODES, seeds=SEEDS, **rules):
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["grid"] = {"modes": list(modes), "seeds": list(seeds)}
    content["evaluate"]["bootstrap_samples"] = 200
    content["rules"] |= rules
    return config.parse(content)


def densities(mode):
    """The density of a mode's pattern on every split, as training records it."""
    pattern = read_pattern(paths.rule_table(mode))
    return {split: density(pattern, tagged) for split, tagged in tagged_splits(128).items()}


def write_cell(mode, seed, accuracy=0.8, test_labels=True, ids_from=0, machine=MACHINE):
    generator = np.random.default_rng([seed, *mode.encode()])
    parts = []
    for split, rows in ROWS.items():
        labels = np.arange(rows) % 2
        right = generator.random(rows) < accuracy
        classes = np.where(right, labels, 1 - labels)
        logits = [[-1.0, 2.0] if guess else [0.5, -0.5] for guess in classes]
        if split == "examples" or (split == "test" and not test_labels):
            labels = np.full(rows, -1)
        ids = np.arange(ids_from, ids_from + rows)
        parts.append(pd.DataFrame({"split": split, "id": ids, "label": labels, "logits": logits}))
    folder = paths.cell("core", mode, seed)
    write_table(folder / "predictions.parquet", pd.concat(parts))
    history = {"step": [10, 20], "epoch": [0.5, 1.0], "loss": [0.7, 0.4]}
    history["selection_accuracy"] = [0.5, accuracy]
    write_table(folder / "history.csv", pd.DataFrame(history))
    content = {
        "arm": mode, "mode": mode, "seed": seed, "machine": machine, "weights_of": None,
        "density": densities(mode),
        "summary": {"recipe": "from_scratch", "checkpoint_step": 20},
    }  # fmt: skip
    artifacts.write_json(folder / "cell.json", content)


def write_mode(mode):
    bias = np.zeros((len(TAGS), len(TAGS)), np.float32)
    if mode in ("hard", "diagonal"):
        bias[:] = np.where(np.eye(len(TAGS)), 0, -np.inf)
        bias[TAGS.index("[CLS]")] = 0
    if mode == "soft":
        bias[0, 1] = 5
    write_pattern(paths.rule_table(mode), Pattern(mode=mode, tags=TAGS, bias=bias))


def write_provenance(is_sst2, is_paper_checkpoint):
    about = {"checkpoint": "some/encoder", "pretrained": is_paper_checkpoint}
    about["is_paper_checkpoint"] = is_paper_checkpoint
    name = "sst2" if is_sst2 else "imdb"
    content = {"is_sst2": is_sst2, "corpus": {"name": name}, "encoder": about, "substitutes": []}
    artifacts.write_json(paths.provenance(), content)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A finished grid of four modes and three seeds, with the files that evaluate reads."""
    monkeypatch.chdir(tmp_path)
    words, tags = ["a", "dog", "barks", "."], ["DET", "NOUN", "VERB", "PUNCT"]
    for split in ("train", "selection", "validation", "test"):
        rows = ROWS.get(split, 50)
        sentences = [words[: 2 + i % 3] for i in range(rows)]
        ids = range(rows)
        labels = np.arange(rows) % 2
        corpus = pd.DataFrame({"id": ids, "words": sentences, "label": labels})
        corpus["leaks_selection"] = False
        tagged = pd.DataFrame({"id": ids, "tags": [tags[: len(s)] for s in sentences]})
        write_table(paths.corpus_split(split), corpus)
        write_table(paths.tags_split(split), tagged)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "bark", "##s", "."]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    BertTokenizerFast(vocab=vocabulary).save_pretrained(paths.ENCODER)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    BertConfig(**sizes, intermediate_size=32, vocab_size=10).save_pretrained(paths.ENCODER)
    write_provenance(is_sst2=True, is_paper_checkpoint=True)
    for mode in MODES:
        write_mode(mode)
        for seed in SEEDS:
            write_cell(mode, seed)


def table(name):
    return pd.read_csv(paths.TABLES / f"{name}.csv")


def metrics():
    return json.loads(paths.METRICS.read_text(encoding="utf-8"))


@pytest.mark.usefixtures("workspace")
def test_every_table_has_the_columns_of_the_contract_and_some_rows():
    core.evaluate(parameters())
    for name, columns in COLUMNS.items():
        written = table(name)
        assert list(written.columns) == columns.split(), name
        assert len(written), name
    for name in ("results", "runs", "differences", "verdicts", "cost", "claims"):
        assert (paths.TABLES / f"{name}.md").read_text(encoding="utf-8").count("|") > 10


@pytest.mark.usefixtures("workspace")
def test_an_accuracy_is_the_share_of_rows_whose_larger_logit_is_the_label():
    core.evaluate(parameters())
    predictions = pd.read_parquet(paths.cell("core", "hard", 2) / "predictions.parquet")
    rows = predictions[predictions["split"] == "validation"]
    correct = sum(
        (logits[1] > logits[0]) == label
        for logits, label in zip(rows["logits"], rows["label"], strict=True)
    )
    found = table("runs").set_index(["arm", "seed", "split"]).loc[("hard", 2, "validation")]
    assert (found["correct"], found["n"]) == (correct, 40)
    assert metrics()["hard"]["accuracy"] == pytest.approx(
        table("runs").query("mode == 'hard' and split == 'validation'")["accuracy"].mean(), abs=1e-6
    )


@pytest.mark.usefixtures("workspace")
def test_pooled_rows_are_those_of_validation_and_test_together():
    core.evaluate(parameters())
    correct = table("runs").pivot(index=["arm", "seed"], columns="split", values="correct")
    assert (correct["pooled"] == correct["validation"] + correct["test"]).all()
    assert set(table("verdicts")["n"]) == {100}


@pytest.mark.usefixtures("workspace")
def test_a_cell_outside_the_grid_changes_nothing():
    core.evaluate(parameters())
    before = {path.name: path.read_bytes() for path in paths.TABLES.iterdir()}
    write_cell("full", 99, accuracy=0.1)
    write_mode("soft_released")
    write_cell("soft_released", 1, accuracy=0.1)
    core.evaluate(parameters())
    assert {path.name: path.read_bytes() for path in paths.TABLES.iterdir()} == before


@pytest.mark.usefixtures("workspace")
def test_only_validation_rows_of_published_modes_carry_the_papers_value_and_a_verdict():
    core.evaluate(parameters())
    results = table("results")
    published = (results["split"] == "validation") & (results["mode"] != "diagonal")
    assert results.loc[published, ["paper", "verdict"]].notna().all(axis=None)
    assert results.loc[~published, ["paper", "verdict"]].isna().all(axis=None)


@pytest.mark.usefixtures("workspace")
def test_on_other_data_nothing_is_compared_with_the_paper():
    write_provenance(is_sst2=False, is_paper_checkpoint=False)
    core.evaluate(parameters())
    assert list(table("results")) == [*COLUMNS["arms"].split(), "verdict"]
    assert table("results")["verdict"].isna().all() and table("claims").empty
    assert (metrics()["corpus"], metrics()["encoder"]) == ("imdb", "from scratch")
    for path in (*paths.TABLES.glob("*.md"), *paths.TABLES.glob("*.csv"), paths.METRICS):
        text = path.read_text(encoding="utf-8")
        for words in ("SST-2", "paper", "not comparable"):
            header = path.stem == "claims" and words == "paper"  # all that is in that table
            assert header or words not in text, (path, words)


@pytest.mark.parametrize("is_sst2", [True, False])
@pytest.mark.usefixtures("workspace")
def test_a_mode_that_did_not_learn_is_reported_as_that_on_any_corpus(is_sst2):
    write_provenance(is_sst2, is_paper_checkpoint=False)
    for seed in SEEDS:
        write_cell("hard", seed, accuracy=0.5)
    core.evaluate(parameters())
    results = table("results")
    failed = results["verdict"] == "did not learn"
    assert results.loc[failed, ["mode", "split"]].to_numpy().tolist() == [["hard", "validation"]]
    assert metrics()["hard"]["verdict"] == "did not learn"
    claims = table("claims").set_index("claim")["verdict"]
    if is_sst2:
        assert (claims["C2"], claims["C4"]) == ("did not learn", "undecided")
    about_hard = table("verdicts").query("arm == 'hard'")["verdict"]
    assert set(about_hard) == {"no verdict: hard did not learn"}


@pytest.mark.usefixtures("workspace")
def test_changed_rules_are_said_above_the_results():
    core.evaluate(parameters(drop=["ADJ->NOUN"]))
    assert "rules were changed" in (paths.TABLES / "results.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("workspace")
def test_the_soft_mode_saves_nothing_and_the_hard_mode_the_pairs_it_blocks():
    core.evaluate(parameters())
    costs = table("cost").set_index(["mode", "split"])
    assert (costs.loc["soft"][["density"]] == 1).all(axis=None)
    assert (costs.loc["soft"]["saving_attention"] == 0).all()
    # Pieces: [CLS] a dog (barks = 2 pieces) (.) [SEP]; sentences of 2, 3 and 4 words in turn.
    # Allowed: all of [CLS]'s row, each piece itself, and the two pieces of "barks" each other.
    lengths = [4 + 2 * (i % 3 >= 1) + (i % 3 == 2) for i in range(40)]
    allowed = [n + (n - 1) + 2 * (n > 4) for n in lengths]
    found = costs.loc[("hard", "validation")]
    assert found["pairs"] == sum(n * n for n in lengths)
    assert found["allowed_pairs"] == sum(allowed)
    assert metrics()["hard"]["cost"] == pytest.approx(found["density"], abs=1e-6)


@pytest.mark.usefixtures("workspace")
def test_every_density_beside_an_accuracy_is_that_of_the_sentences_it_was_measured_on():
    core.evaluate(parameters())
    arms, costs = (
        table(name).set_index(["mode", "split"])["density"].sort_index()
        for name in ("arms", "cost")
    )
    assert set(arms.index.get_level_values("split")) == {"validation", "test", "pooled"}
    pd.testing.assert_series_equal(arms, costs, check_names=False)
    assert arms["hard", "validation"] < arms["hard", "pooled"] < arms["hard", "test"] or (
        arms["hard", "test"] < arms["hard", "pooled"] < arms["hard", "validation"]
    )


@pytest.mark.usefixtures("workspace")
def test_a_hidden_test_split_leaves_scores_on_validation_and_its_cost():
    for mode in MODES:
        for seed in SEEDS:
            write_cell(mode, seed, test_labels=False)
    test = pd.read_parquet(paths.corpus_split("test")).assign(label=-1)
    write_table(paths.corpus_split("test"), test)
    core.evaluate(parameters())
    assert set(table("runs")["split"]) == {"validation"}
    assert set(table("verdicts")["n"]) == {40}
    assert table("verdicts")["test_difference_points"].isna().all()
    assert set(table("cost")["split"]) == {"validation", "test"}
    assert set(table("baselines")["split"]) == {"validation"}
    assert metrics()["full"]["test_accuracy"] is None


@pytest.mark.usefixtures("workspace")
def test_one_seed_gives_accuracies_without_intervals_over_seeds_and_says_so():
    core.evaluate(parameters(seeds=[2]))
    assert table("results")[["accuracy_sd", "prediction_low"]].isna().all(axis=None)
    assert table("differences")[["low_points", "high_points", "p"]].isna().all(axis=None)
    assert set(table("verdicts")["verdict"]) == {"no verdict: fewer than 3 seeds"}
    assert table("mcnemar")["p"].notna().all()
    assert metrics()["full"]["sd"] is None
    assert "One seed" in (paths.TABLES / "differences.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("workspace")
def test_without_full_there_are_no_verdicts_and_the_table_says_why():
    core.evaluate(parameters(modes=["hard", "soft"]))
    for name in ("mcnemar", "verdicts"):
        assert table(name).empty
        assert list(table(name).columns) == COLUMNS[name].split()
    assert "full is not in grid.modes" in (paths.TABLES / "differences.md").read_text("utf-8")
    assert table("claims").set_index("claim").loc["C1", "verdict"] == "not run"


@pytest.mark.usefixtures("workspace")
def test_a_missing_cell_is_named():
    with pytest.raises(UserError, match=r"core/hard-7 holds no finished cell.*train@hard-7"):
        core.evaluate(parameters(seeds=[1, 7], modes=["hard"]))
    assert not paths.METRICS.exists()


def read(**grid):
    params = parameters(**grid)
    return read_results(studies.core(params, "sst2"), "sst2")


@pytest.mark.usefixtures("workspace")
def test_cells_of_another_pattern_than_the_one_whose_cost_is_stated_are_refused():
    write_pattern(
        paths.rule_table("hard"),
        Pattern("hard", TAGS, np.zeros((len(TAGS), len(TAGS)), np.float32)),
    )
    with pytest.raises(UserError, match=r"hard.json allows 1.0000 of the pairs.*stale"):
        core.evaluate(parameters())


@pytest.mark.usefixtures("workspace")
def test_cells_that_hold_other_sentences_are_not_compared():
    write_cell("soft", 3, ids_from=1)
    with pytest.raises(UserError, match=r"core/soft-3 and .*core/full-1 .*older corpus"):
        read()


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("key", MACHINE)
def test_cells_of_different_machines_are_not_compared_and_the_difference_is_named(key):
    write_cell("soft", 3, machine={**MACHINE, key: "other"})
    with pytest.raises(UserError) as caught:
        read()
    message = str(caught.value)
    assert "full-3 and soft-3" in message
    assert f"{key} {MACHINE[key]} and other" in message
    assert "`dvc repro -f train@soft-3`" in message


@pytest.mark.usefixtures("workspace")
def test_cells_of_one_process_and_of_two_are_not_compared():
    write_cell("soft", 3, machine={**MACHINE, "world_size": 2})
    with pytest.raises(UserError, match=r"full-3 and soft-3 .*\(world_size not recorded and 2\)"):
        read()


@pytest.mark.usefixtures("workspace")
def test_every_seed_may_have_its_own_machine():
    theirs = {**MACHINE, "cpu_model": "other"}
    for mode in MODES:
        write_cell(mode, 3, machine=theirs)
    assert read().machines == {1: MACHINE, 2: MACHINE, 3: theirs}


@pytest.mark.usefixtures("workspace")
def test_a_seed_counts_once_every_arm_is_finished_with_it():
    (paths.cell("core", "soft", 2) / "cell.json").unlink()
    assert read().seeds == (1, 3)
    for seed in SEEDS:
        (paths.cell("core", "hard", seed) / "cell.json").unlink()
    assert read() is None


@pytest.mark.parametrize(
    "logits", [[[np.nan, 1.0]], [[1.0]], [[1.0, 2.0, 3.0]], [None], None, "nonsense", 3]
)
@pytest.mark.usefixtures("workspace")
def test_predictions_that_are_not_numbers_are_refused(logits):
    path = paths.cell("core", "hard", 1) / "predictions.parquet"
    predictions = pd.read_parquet(path)
    if isinstance(logits, list):
        predictions.at[10, "logits"] = logits[0]
    else:
        predictions["logits"] = logits
    write_table(path, predictions)
    with pytest.raises(UserError, match=r"core/hard-1/.*finite"):
        read()


@pytest.mark.usefixtures("workspace")
def test_predictions_of_no_scored_split_are_refused():
    path = paths.cell("core", "hard", 1) / "predictions.parquet"
    write_table(path, pd.read_parquet(path).assign(split="valid"))
    with pytest.raises(UserError, match=r"core/hard-1.* no predictions of validation or test"):
        read()


@pytest.mark.usefixtures("workspace")
def test_validation_without_labels_is_refused():
    for seed in SEEDS:
        path = paths.cell("core", "full", seed) / "predictions.parquet"
        predictions = pd.read_parquet(path).assign(label=-1)
        write_table(path, predictions)
    with pytest.raises(UserError, match="validation split has no labels"):
        read(modes=["full"])


@pytest.mark.usefixtures("workspace")
def test_the_four_shares_of_a_confusion_table_sum_to_one():
    core.evaluate(parameters())
    sums = table("confusion").groupby(["mode", "split"])["share"].sum()
    assert sums.to_numpy() == pytest.approx(1, abs=1e-6)


@pytest.mark.usefixtures("workspace")
def test_evaluating_twice_writes_the_same_bytes():
    core.evaluate(parameters())
    first = [path.read_bytes() for path in sorted(paths.TABLES.iterdir())] + [metrics()]
    core.evaluate(parameters())
    assert [path.read_bytes() for path in sorted(paths.TABLES.iterdir())] + [metrics()] == first
