"""A saved model keeps its pattern, and cannot be loaded without it unnoticed."""

import json
import pickle
import subprocess
import sys

import pytest
import torch
from preloaded import Preloaded
from small_models import FULL, TAGGED, WORDS, run, table
from test_attached_inputs import BERT, DISTIL, MODERN, new
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForMaskedLM,
    BertForSequenceClassification,
    DistilBertForSequenceClassification,
    ModernBertForSequenceClassification,
)

import ggsa
from ggsa.model.carried import CARRIED, carried

CLASSIFIERS = {
    "bert": (BertForSequenceClassification, BERT),
    "distilbert": (DistilBertForSequenceClassification, DISTIL),
    "modernbert": (ModernBertForSequenceClassification, MODERN),
}


def logits(model, inputs):
    with torch.inference_mode():
        return model.eval()(**inputs).logits


def without_ggsa(python: Preloaded, code: str, folder) -> subprocess.CompletedProcess:
    """What a process does that never imports this package."""
    program = f"folder = {str(folder)!r}\n{code}\nimport sys\nassert 'ggsa' not in sys.modules"
    return python.run(folder, "-c", program)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_a_saved_model_keeps_the_pattern_that_was_attached_last(kind, tmp_path) -> None:
    model = ggsa.attach(ggsa.attach(new(*CLASSIFIERS[kind]), FULL), table(seed=9))
    inputs = ggsa.inputs(ggsa.load(run(tmp_path / "run")).tokenizer, WORDS, TAGGED)
    model.save_pretrained(tmp_path / "saved")
    content = json.loads((tmp_path / "saved/config.json").read_text())
    assert content["model_type"] == f"ggsa_{kind}"
    assert content["architectures"] == [type(model).__name__]
    loaded = {
        "stock class": ggsa.attach(type(model).from_pretrained(tmp_path / "saved")),
        "auto class": AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved"),
        "from its configuration": AutoModelForSequenceClassification.from_config(model.config),
    }
    for way, other in loaded.items():
        assert type(other) is type(model), way
        assert (carried(other.config).bias == table(seed=9).bias).all(), way
        other.load_state_dict(model.state_dict())
        assert torch.equal(logits(other, inputs), logits(model, inputs)), way


@pytest.mark.parametrize("chosen", ["eager", "sdpa"])
def test_an_auto_class_keeps_the_attention_that_it_is_asked_for(chosen, tmp_path) -> None:
    model = ggsa.attach(new(*CLASSIFIERS["bert"]), table())
    model.save_pretrained(tmp_path / "saved")
    inputs = ggsa.inputs(ggsa.load(run(tmp_path / "run")).tokenizer, WORDS, TAGGED)
    other = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "saved", attn_implementation=chosen
    )
    assert other.config._attn_implementation == chosen
    assert torch.allclose(logits(other, inputs), logits(model, inputs), atol=1e-5)


def test_a_model_that_was_loaded_with_eager_attention_keeps_it_and_its_weights(tmp_path) -> None:
    model = ggsa.attach(new(*CLASSIFIERS["bert"]), table())
    model.save_pretrained(tmp_path / "saved")
    inputs = ggsa.inputs(ggsa.load(run(tmp_path / "run")).tokenizer, WORDS, TAGGED)
    eager = type(model).from_pretrained(tmp_path / "saved", attn_implementation="eager")
    other = ggsa.attach(eager)
    assert torch.allclose(logits(other, inputs), logits(model, inputs), atol=1e-5)
    assert len(other(**inputs, output_attentions=True).attentions) == model.config.num_hidden_layers
    assert ggsa.attach(eager, implementation="auto").config._attn_implementation == "ggsa"


def test_other_auto_classes_return_the_model_attached_too(tmp_path) -> None:
    ggsa.attach(new(BertForMaskedLM, BERT), table()).save_pretrained(tmp_path)
    for auto in (AutoModel, AutoModelForMaskedLM):
        assert hasattr(auto.from_pretrained(tmp_path).base_model, "_ggsa")
    model, information = AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert hasattr(model, "_ggsa")
    assert not information["error_msgs"]


def test_without_this_package_no_class_loads_a_run_unnoticed(tmp_path, python) -> None:
    folder = run(tmp_path / "run")
    auto = without_ggsa(
        python,
        "from transformers import AutoModelForSequenceClassification as Auto\n"
        "Auto.from_pretrained(folder)",
        folder,
    )
    assert auto.returncode != 0
    assert "model type `ggsa_bert`" in auto.stderr
    stock = without_ggsa(
        python,
        "from transformers import AutoTokenizer, BertForSequenceClassification as Stock\n"
        "AutoTokenizer.from_pretrained(folder)('not bad')\n"
        "Stock.from_pretrained(folder)",
        folder,
    )
    assert stock.returncode == 0, stock.stderr
    assert "using a model of type `ggsa_bert`" in stock.stderr


def test_importing_the_package_stays_light() -> None:
    program = "import sys, ggsa\nassert not {'torch', 'transformers'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_importing_attach_registers_the_model_types(tmp_path, python) -> None:
    folder = run(tmp_path / "run")
    code = (
        "import ggsa\nfrom ggsa import attach\n"
        "from transformers import AutoModelForSequenceClassification as Auto\n"
        f"assert hasattr(Auto.from_pretrained({str(folder)!r}).base_model, '_ggsa')"
    )
    for program, works in ((code, True), (code.replace("from ggsa import attach\n", ""), False)):
        done = python.run(tmp_path, "-c", program)
        assert (done.returncode == 0) == works, done.stderr
    assert "model type `ggsa_bert`" in done.stderr


def test_a_folder_without_our_model_type_is_loaded_as_before(tmp_path) -> None:
    folder = run(tmp_path / "run")
    expected = ggsa.load(folder).logits(WORDS, TAGGED)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": "bert"}))
    assert (ggsa.load(folder).logits(WORDS, TAGGED) == expected).all()
    stock = ggsa.attach(AutoModelForSequenceClassification.from_pretrained(folder))
    inputs = ggsa.inputs(AutoTokenizer.from_pretrained(folder), WORDS, TAGGED)
    assert torch.allclose(logits(stock, inputs), torch.from_numpy(expected), atol=1e-5)


def test_a_model_with_a_pattern_can_be_pickled(tmp_path) -> None:
    model = ggsa.attach(new(*CLASSIFIERS["bert"]), table())
    inputs = ggsa.inputs(ggsa.load(run(tmp_path)).tokenizer, WORDS, TAGGED)
    copied = pickle.loads(pickle.dumps(model))
    assert torch.equal(logits(copied, inputs), logits(model, inputs))
    assert getattr(copied.config, CARRIED) == getattr(model.config, CARRIED)
