"""Grouped attention on a GPU: its index, its kernels, what it refuses, and trainings with it."""

import numpy as np
import pytest
import torch
from segment_reference import LOOP
from tagged_batches import sentences
from transformers import AutoModelForSequenceClassification, BertConfig, BertModel

import ggsa
from ggsa.model import attention, classifier
from ggsa.model.attention import choice, segments
from ggsa.model.attention.dense import dense_attention
from ggsa.model.attention.varlen import FLASH, Kernel, segment_attention
from ggsa.model.batches import Batch
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.positional import Positional
from ggsa.patterns.tag_tables import blocked_outside
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import CLS, TAGS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="needs a GPU: PyTorch finds no CUDA device here"
    ),
]

SIZE = len(TAGS)
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
DENSITIES = {"no pair": 0.0, "few pairs": 0.1, "some pairs": 0.4, "all pairs": 1.0}


def table_of(random: np.random.Generator, density: float) -> np.ndarray:
    """A random table with a full row of `[CLS]`; about half of its tags may not attend to themselves."""
    allowed = random.random((SIZE, SIZE)) < density
    allowed[TAGS.index(CLS)] = density > 0
    return allowed


def pattern_of(allowed: np.ndarray, extra: Positional | None = None) -> Pattern:
    return Pattern("hard", TAGS, blocked_outside(allowed), extra)


def computed(
    allowed: np.ndarray, batch: Batch, inputs: list, weights: torch.Tensor, kernel: Kernel | None
) -> list[torch.Tensor]:
    """Output and gradients of segments, or of dense attention if there is no kernel."""
    mask = attention.Mask(pattern_of(allowed), inputs[0].device)
    real = ~batch.is_padding[:, None, :, None].to(weights.device)
    leaves = [x.detach().requires_grad_() for x in inputs]
    if kernel is None:
        output = dense_attention(*leaves, mask.bias(batch).to(weights.dtype))
    else:
        laid = mask.plan(batch)
        order = laid.order[:, None, :, None].expand(weights.shape)
        sorted_ = segment_attention(*(x.gather(2, order) for x in leaves), laid, kernel=kernel)
        output = torch.zeros_like(sorted_).scatter(2, order, sorted_)
    return [output * real, *torch.autograd.grad(output, leaves, weights * real)]


def drawn(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[list, torch.Tensor]:
    """Queries, keys, values and a gradient, rounded to a data type."""
    torch.manual_seed(3)
    *inputs, weights = (torch.randn(shape, device=CUDA).to(dtype) for _ in range(4))
    return inputs, weights


@pytest.mark.parametrize("density", DENSITIES.values(), ids=DENSITIES)
def test_an_index_is_the_same_on_a_gpu_and_on_a_cpu(density) -> None:
    random = np.random.default_rng(1)
    for length in (5, 40, 300):
        allowed, rows = table_of(random, density), sentences(random, 4, length, 12)
        on_gpu, on_cpu = (
            segments.plan(segments.compile_groups(allowed, d), rows.tags, rows.is_padding)
            for d in (CUDA, CPU)
        )
        for name, expected in on_cpu._asdict().items():
            got = getattr(on_gpu, name)
            same = torch.equal(got.cpu(), expected) if torch.is_tensor(got) else got == expected
            assert same, name


@pytest.mark.parametrize("density", DENSITIES.values(), ids=DENSITIES)
def test_segments_equal_dense_attention_on_a_gpu_in_float32(density) -> None:
    random = np.random.default_rng(2)
    for length in (7, 60):
        allowed, rows = table_of(random, density), sentences(random, 3, length, 10)
        inputs, weights = drawn((3, 2, length, 16), torch.float32)
        dense = computed(allowed, rows, inputs, weights, None)
        got = computed(allowed, rows, inputs, weights, LOOP)
        for x, y in zip(got, dense, strict=True):
            torch.testing.assert_close(x, y, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("density", DENSITIES.values(), ids=DENSITIES)
def test_segments_in_half_precision_are_about_as_close_to_float64_as_dense_attention(
    dtype, density
) -> None:
    random = np.random.default_rng(3)
    for length in (50, 700):
        allowed, rows = table_of(random, density), sentences(random, 3, length, 12)
        inputs, weights = drawn((3, 2, length, 64), dtype)
        doubled = [x.double() for x in inputs]
        exact = computed(allowed, rows, doubled, weights.double(), None)
        dense = computed(allowed, rows, inputs, weights, None)
        flash = computed(allowed, rows, inputs, weights, FLASH)
        for name, *three in zip(
            ("output", "query", "key", "value"), exact, dense, flash, strict=True
        ):
            wanted, *results = (x.double() for x in three)
            of_dense, of_flash = ((x - wanted).square().mean().sqrt() for x in results)
            rounding = wanted.square().mean().sqrt() * torch.finfo(dtype).eps / 4
            assert of_flash <= 2 * of_dense + rounding, (name, length)


def test_the_gradients_of_segments_are_bit_identical_in_the_deterministic_mode(
    deterministic,
) -> None:
    random = np.random.default_rng(4)
    laid = attention.Mask(pattern_of(table_of(random, 0.4)), CUDA).plan(
        sentences(random, 2, 3000, 14)
    )
    inputs, weights = drawn((2, 4, 3000, 64), torch.bfloat16)
    inputs = [x.requires_grad_() for x in inputs]
    first, second = (
        torch.autograd.grad(segment_attention(*inputs, laid), inputs, weights) for _ in range(2)
    )
    for x, y in zip(first, second, strict=True):
        assert x.isfinite().all()
        assert torch.equal(x, y)


def test_grouped_attention_on_a_gpu_refuses_float32_and_positional_patterns() -> None:
    random = np.random.default_rng(5)
    inputs, weights = drawn((2, 2, 20, 64), torch.float32)
    with pytest.raises(UserError, match=r"grouped got .*float32.*Use bfloat16"):
        computed(table_of(random, 0.4), sentences(random, 2, 20, 5), inputs, weights, FLASH)
    window = Positional("window", 1, np.ones((SIZE, SIZE), bool))
    with pytest.raises(UserError, match="grouped cannot compute the mode hard on cuda"):
        attention.Mask(pattern_of(np.zeros((SIZE, SIZE), bool), window), CUDA, "grouped")


def test_auto_on_a_gpu_takes_segments_for_long_sentences_in_half_precision_only() -> None:
    random = np.random.default_rng(6)
    sizes = BertConfig(hidden_size=128, num_hidden_layers=2, num_attention_heads=2)
    long, short = (sentences(random, 1, n, 12) for n in (choice.GPU_TOKENS, choice.GPU_TOKENS - 1))
    eye = np.eye(SIZE, dtype=bool)
    mask = attention.Mask(pattern_of(eye), CUDA, "auto", sizes)
    assert mask.choose(long, torch.bfloat16) == "grouped"
    assert mask.choose(long, torch.float32) == "dense"
    assert mask.choose(short, torch.bfloat16) == "dense"
    others = {"full": pattern_of(np.ones((SIZE, SIZE), bool))}
    others["window"] = pattern_of(0 * eye, Positional("window", 1, np.ones((SIZE, SIZE), bool)))
    for name, pattern in others.items():
        other = attention.Mask(pattern, CUDA, "auto", sizes)
        assert other.choose(long, torch.bfloat16) == "dense", name


def sizes_of_a_small_model() -> BertConfig:
    return BertConfig(
        vocab_size=200, hidden_size=128, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=256, attention_probs_dropout_prob=0.0, num_labels=2,
    )  # fmt: skip


def test_an_attached_model_gives_on_a_gpu_what_it_gives_under_the_mask() -> None:
    random = np.random.default_rng(7)
    pattern, rows = pattern_of(table_of(random, 0.3)), sentences(random, 3, 200, 12)
    torch.manual_seed(1)
    weights = BertModel(sizes_of_a_small_model()).state_dict()

    def states(implementation: str, dtype: torch.dtype) -> torch.Tensor:
        model = BertModel(sizes_of_a_small_model()).eval()
        model.load_state_dict(weights)
        model = ggsa.attach(model.to(CUDA, dtype), pattern, implementation)
        real = (~rows.is_padding).to(CUDA)
        with torch.inference_mode():
            output = model(
                input_ids=rows.pieces.to(CUDA), attention_mask=real.long(), tags=rows.tags.to(CUDA)
            )
        return output.last_hidden_state.double() * real[..., None]

    exact = states("dense", torch.float32)
    dense, grouped = (states(name, torch.bfloat16) for name in ("dense", "grouped"))
    assert (grouped - exact).square().mean() <= 4 * (dense - exact).square().mean()


@pytest.fixture
def deterministic(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)


@pytest.mark.parametrize("implementation", ["dense", "grouped"])
def test_two_trainings_on_one_card_are_bit_identical(deterministic, implementation) -> None:
    random = np.random.default_rng(8)
    pattern = pattern_of(table_of(random, 0.3))
    batches = [sentences(random, 8, int(random.integers(60, 400)), 12) for _ in range(20)]
    first, second = (trained(pattern, batches, implementation) for _ in range(2))
    assert first["losses"].isfinite().all()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def trained(pattern: Pattern, batches: list[Batch], implementation: str) -> dict[str, torch.Tensor]:
    """Weights after a step on each batch, under autocast to bfloat16, and the losses of the steps."""
    torch.manual_seed(11)
    sizes = sizes_of_a_small_model()
    model = AutoModelForSequenceClassification.from_config(
        sizes, attn_implementation=attention.NAME
    ).to(CUDA)
    mask = attention.Mask(pattern, CUDA, implementation, sizes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    losses = []
    for batch in batches:
        labels = (batch.tags.sum(1) % 2).to(CUDA)
        logits = classifier.batch_logits(model, mask, batch, half=True)
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
    return model.state_dict() | {"losses": torch.stack(losses)}
