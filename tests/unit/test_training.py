"""The loop's parts that need no corpus; whole runs are in the pipeline tier."""

import itertools
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, BertForSequenceClassification, DistilBertConfig

from ggsa.model import attention, batches, build
from ggsa.training import loop, optimization, resume
from ggsa.training.vocabulary_subset import VocabularySubset
from ggsa.workspace import config
from ggsa.workspace.blocks import Recipe
from ggsa.workspace.errors import UserError

RECIPE = Recipe(
    batch_size=4,
    learning_rate=1e-3,
    epochs=1,
    warmup=10,
    weight_decay=0.01,
    clip_norm=1.0,
    dropout=0.3,
    attention_dropout=0.0,
)


@given(st.integers(1, 500), st.integers(1, 33), st.integers(0, 9), st.integers(0, 3))
def test_every_row_stands_in_exactly_one_batch(
    rows: int, batch_size: int, seed: int, epoch: int
) -> None:
    lengths = np.random.default_rng(rows).integers(1, 60, rows)
    order = batches.training_order(lengths, batch_size, seed, epoch)
    assert sorted(np.concatenate(order)) == list(range(rows))
    assert all(len(batch) <= batch_size for batch in order)
    assert len(order) == -(-rows // batch_size)


def test_another_epoch_or_seed_gives_another_order() -> None:
    lengths = np.arange(100)
    first = np.concatenate(batches.training_order(lengths, 4, 0, 0))
    assert not np.array_equal(first, np.concatenate(batches.training_order(lengths, 4, 0, 1)))
    assert not np.array_equal(first, np.concatenate(batches.training_order(lengths, 4, 1, 0)))
    assert np.array_equal(first, np.concatenate(batches.training_order(lengths, 4, 0, 0)))


@pytest.mark.parametrize("warmup", [10, 0.1])
def test_the_rate_rises_from_zero_to_its_peak_and_falls_to_zero(warmup: float) -> None:
    recipe = RECIPE.model_copy(update={"warmup": warmup})
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=recipe.learning_rate)
    schedule, rates = optimization.schedule_for(optimizer, 100, recipe), []
    for _ in range(101):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == rates[100] == 0
    assert rates[10] == max(rates) == RECIPE.learning_rate
    assert all(a < b for a, b in itertools.pairwise(rates[:11]))
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))


def test_warm_up_takes_at_most_half_of_the_steps() -> None:
    assert RECIPE.model_copy(update={"warmup": 500}).warmup_steps(100) == 50
    assert RECIPE.model_copy(update={"warmup": 0.1}).warmup_steps(1954) == 195


@pytest.mark.parametrize(
    "config",
    [
        BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
                   intermediate_size=16),
        DistilBertConfig(vocab_size=30, dim=8, n_layers=2, n_heads=2, hidden_dim=16),
    ],
    ids=["bert", "distilbert"],
)  # fmt: skip
class TestEncoder:
    def test_the_same_seed_gives_the_same_weights(self, config, tmp_path) -> None:
        config.save_pretrained(tmp_path)
        one, two, other = (build.build(tmp_path, RECIPE, seed, False) for seed in (1, 1, 2))
        pairs = zip(one.parameters(), two.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
        pairs = zip(one.parameters(), other.parameters(), strict=True)
        assert not all(torch.equal(a, b) for a, b in pairs)

    def test_the_recipe_decides_the_dropout(self, config, tmp_path) -> None:
        config.save_pretrained(tmp_path)
        model = build.build(tmp_path, RECIPE, 1, False)
        rates = {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)}
        assert rates <= {RECIPE.dropout, RECIPE.attention_dropout}
        assert RECIPE.dropout in rates

    def test_there_is_a_logit_for_every_class_and_the_model_knows_their_names(
        self, config, tmp_path
    ) -> None:
        config.save_pretrained(tmp_path)
        model = build.build(tmp_path, RECIPE, 1, False, ("a", "b", "c"))
        assert model.config.id2label == {0: "a", 1: "b", 2: "c"}
        assert model(input_ids=torch.tensor([[1, 2]])).logits.shape == (1, 3)

    def test_weights_that_classify_into_other_classes_are_refused(self, config, tmp_path) -> None:
        config.save_pretrained(tmp_path)
        build.build(tmp_path, RECIPE, 1, False).save_pretrained(tmp_path)
        with pytest.raises(UserError, match="cannot be trained on 3 classes"):
            build.build(tmp_path, RECIPE, 1, False, ("a", "b", "c"))

    def test_resetting_projections_changes_query_key_and_value_and_nothing_else(
        self, config, tmp_path
    ) -> None:
        config.save_pretrained(tmp_path)
        kept = dict(build.build(tmp_path, RECIPE, 1, False).named_parameters())
        reset = dict(build.build(tmp_path, RECIPE, 1, True).named_parameters())
        changed = {name for name in kept if not torch.equal(kept[name], reset[name])}
        assert changed
        assert all(name.split(".")[-2] in build.PROJECTIONS for name in changed)
        assert sum(name.endswith("weight") for name in changed) == 2 * 3

    def test_a_blocking_pattern_reaches_the_attention(self, config, tmp_path) -> None:
        config.save_pretrained(tmp_path)
        model = build.build(tmp_path, RECIPE, 1, False).eval()
        pieces = torch.tensor([[1, 2, 3], [1, 2, 9]])
        blocked = torch.full((1, 1, 3, 3), -torch.inf)
        blocked[0, 0].fill_diagonal_(0)
        with torch.no_grad():
            alone = model(input_ids=pieces, attention_mask=blocked.expand(2, 1, 3, 3)).logits
            everything = model(input_ids=pieces, attention_mask=torch.zeros(2, 1, 3, 3)).logits
        assert torch.equal(alone[0], alone[1])  # the first piece, which is classified, sees itself
        assert not torch.allclose(everything[0], everything[1])


def test_a_subset_of_the_vocabulary_trains_as_the_whole_does() -> None:
    sentences = [np.array([2, 7, 9, 3]), np.array([2, 9, 21, 3])]
    subset = VocabularySubset(sentences, padding=0)

    def trained(small: bool) -> BertForSequenceClassification:
        torch.manual_seed(0)
        config = BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1,
                            num_attention_heads=2, intermediate_size=16,
                            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)  # fmt: skip
        config._attn_implementation = attention.NAME
        model = BertForSequenceClassification(config)
        whole = subset.shrink(model) if small else None
        pieces = [subset.renumber(row) if small else row for row in sentences]
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
        for _ in range(5):
            logits = model(input_ids=torch.from_numpy(np.stack(pieces))).logits
            torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        if whole is not None:
            subset.restore(model, whole, padding=0)
        return model

    whole, small = trained(False).state_dict(), trained(True).state_dict()
    assert whole.keys() == small.keys()
    for name in whole:
        torch.testing.assert_close(small[name], whole[name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("limit", [0, 4096, 20_000])
def test_a_checkpoint_that_does_not_fit_on_the_disk_leaves_the_one_before(
    tmp_path: Path, limit: int
) -> None:
    sizes = {"vocab_size": 30, "hidden_size": 16, "intermediate_size": 32}
    model = BertForSequenceClassification(
        BertConfig(num_hidden_layers=1, num_attention_heads=2, **sizes)
    )
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
    path = tmp_path / "cell.pt"
    resume.save(path, model, optimizer, schedule, {"step": 1})
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(UserError, match=r"cell\.pt could not be written .*Free disk space"):
            resume.save(path, model, optimizer, schedule, {"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_dropout_with_grouped_attention_raises_an_error() -> None:
    dropping = RECIPE.model_copy(update={"attention_dropout": 0.1})
    params = config.load(overrides={"attention.implementation": "grouped"})
    with pytest.raises(
        UserError, match=r"grouped, which has no attention dropout.*train\.recipes\.x\."
    ):
        loop.implementation_for(params, dropping, "x")
    auto = config.load()
    assert loop.implementation_for(auto, dropping, "x") == "dense"
    assert loop.implementation_for(auto, RECIPE, "x") == "auto"


@pytest.mark.parametrize(("quota", "expected"), [(1, 1), (2, 2), (64, 3)])
def test_auto_takes_no_more_threads_than_the_quota_of_a_container(
    monkeypatch, quota: int, expected: int
) -> None:
    params = config.load()
    params = params.model_copy(
        update={"train": params.train.model_copy(update={"threads": "auto", "device": "cpu"})}
    )
    monkeypatch.setattr(loop.joblib, "cpu_count", lambda: quota)
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(3)  # what PyTorch takes by itself
    try:
        loop.prepare(params)
        assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
