"""Malformed inputs: each must end in one clear message, a non-zero exit and nothing written.

A handwritten list of inputs that must be refused, and a seeded fuzzer that damages valid files at
random. A damaged file may still be valid; the command must then succeed.
"""

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from outcomes import Outcomes
from small_corpus import write_corpus
from small_models import run as write_model
from transformers import BertConfig, BertForSequenceClassification

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120
NOISE = (".cache", "runs/core-seconds.csv")
WRONG: tuple[Any, ...] = (
    *(None, True, -1, 0, 0.5, 1e300, float("nan"), "nonsense", "", [], [1], {}, {"a": 1}),
    *("\ud800", "../../etc", 10**30),
)
"""Values that replace a valid one."""

Damage = Callable[[Path, random.Random], None]


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        command: Reads the input, in a workspace.
        files: The valid files that are damaged.
        share: Of all trials.
        by_hand: Name of a damage -> what it does to the first file; each must be refused.
        random: What damages a file at random.
    """

    command: Callable[[], None]
    files: tuple[str, ...]
    share: float
    by_hand: dict[str, Damage]
    random: tuple[Damage, ...]


# Damages.


def truncated(path: Path, chance: random.Random) -> None:
    """Cut the file off."""
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(max(1, len(content)))])


def with_wrong_bytes(path: Path, chance: random.Random) -> None:
    """Overwrite some bytes."""
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 8, 200))):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path.write_bytes(bytes(content))


def with_lines_moved(path: Path, chance: random.Random) -> None:
    """Repeat, drop or swap lines."""
    lines = path.read_bytes().split(b"\n")
    first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
    match chance.randrange(3):
        case 0:
            lines.insert(first, lines[second])
        case 1:
            del lines[first]
        case 2:
            lines[first], lines[second] = lines[second], lines[first]
    path.write_bytes(b"\n".join(lines))


def with_another_value(path: Path, chance: random.Random) -> None:
    """Change, drop, rename or add a key of a YAML or JSON file."""
    loads, dumps = (
        (json.loads, json.dumps) if path.suffix == ".json" else (yaml.safe_load, yaml.safe_dump)
    )
    content = loads(path.read_text(encoding="utf-8"))
    place, key = chance.choice([*_places(content)])
    match chance.randrange(6):
        case 0:
            del place[key]
        case 1 if isinstance(place, dict):
            place[f"{key}x"] = place.pop(key)
        case _:
            place[key] = chance.choice(WRONG)
    path.write_text(dumps(content), encoding="utf-8", errors="surrogatepass")


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container and key or index of nested content."""
    keys = content if isinstance(content, dict) else range(len(content))
    for key in list(keys):
        yield content, key
        if isinstance(content[key], dict | list) and content[key]:
            yield from _places(content[key])


def with_another_table(path: Path, chance: random.Random) -> None:
    """Drop a column or rows of a Parquet or CSV file, or spoil a column."""
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    column = chance.choice(list(table.columns))
    match chance.randrange(4):
        case 0:
            table = table.drop(columns=column)
        case 1:
            table = table.sample(frac=chance.random(), random_state=1)
        case 2:
            table[column] = None
        case 3:
            table[column] = "nonsense"
    _write(path, table)


def _write(path: Path, table: pd.DataFrame) -> None:
    if path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        table.to_csv(path, index=False)


def bytes_of(content: bytes) -> Damage:
    """Return the damage that replaces the file."""
    return lambda path, _: path.write_bytes(content) and None


def without(path: Path, _: random.Random) -> None:
    """Delete the file."""
    path.unlink()


def a_folder(path: Path, _: random.Random) -> None:
    """Put a folder in the place of the file."""
    path.unlink()
    path.mkdir()


def replaced(old: str, new: str) -> Damage:
    """Return the damage that replaces a text in the file."""

    def damage(path: Path, _: random.Random) -> None:
        text = path.read_text(encoding="utf-8")
        assert old in text, old
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return damage


def with_keys(**values: Any) -> Damage:
    """Return the damage that sets keys of a YAML or JSON file; `__` separates nested keys."""

    def damage(path: Path, _: random.Random) -> None:
        loads, dumps = (
            (json.loads, json.dumps) if path.suffix == ".json" else (yaml.safe_load, yaml.safe_dump)
        )
        content = loads(path.read_text(encoding="utf-8"))
        for name, value in values.items():
            *steps, last = name.split("__")
            place = content
            for step in steps:
                place = place[step]
            place[last] = value
        path.write_text(dumps(content), encoding="utf-8")

    return damage


def with_column(column: str, make: Callable[[pd.Series], Any]) -> Damage:
    """Return the damage that replaces a column of a Parquet file."""

    def damage(path: Path, _: random.Random) -> None:
        table = pd.read_parquet(path)
        table[column] = make(table[column])
        _write(path, table)

    return damage


def without_rows(path: Path, _: random.Random) -> None:
    """Drop the last rows of a Parquet file."""
    _write(path, pd.read_parquet(path).iloc[:-3])


EVERYWHERE: dict[str, Damage] = {
    "missing": without,
    "a folder": a_folder,
    "empty": bytes_of(b""),
    "binary": bytes_of(bytes(range(256)) * 4),
    "not UTF-8": bytes_of(b"text,label\na fil\xe9,good\n"),
}

# Commands.


def obtain_corpus() -> None:
    """Read the user's own sentences."""
    from ggsa.assets import sentences
    from ggsa.workspace import config

    sentences.obtain(config.load(overrides={"corpus.name": "files"}))


def stage(name: str, *arguments: str) -> Callable[[], None]:
    """Return the command that runs a stage's script in this process."""

    def command() -> None:
        import importlib

        module = importlib.import_module(f"stages.{name}")
        before, sys.argv = sys.argv, [f"stages/{name}.py", *arguments]
        try:
            module.main()
        finally:
            sys.argv = before

    return command


def read_treebank() -> None:
    """Read the treebank on which agreement with dependency relations is measured."""
    from ggsa.evaluation.interpretability.dependency import read_trees
    from ggsa.evaluation.interpretability.sentences import Treebank

    settings = Treebank(sentences=50, shortest=2, longest=40, offsets=3)
    read_trees(Path("treebank/dev.conllu"), settings)


def export_model() -> None:
    """Export a trained model."""
    from ggsa.cli.exporting import export

    export("runs/core/hard-9", "exported")


def normalize_encoder() -> None:
    """Take a user's own checkpoint."""
    from ggsa.assets import encoder

    Path("normalized").mkdir()
    try:
        encoder.normalize(Path("encoder"), Path("normalized"), "encoder")
    finally:
        shutil.rmtree("normalized")  # the stage empties its folder before it starts


TINY = ("--study", "tiny", "--corpus", "sst2")
CELL = "reports/published/studies/tiny/sst2/cells/hard-1"
KINDS: dict[str, Kind] = {
    "corpus": Kind(
        obtain_corpus,
        ("corpora/mine/train.csv",),
        0.2,
        {
            **EVERYWHERE,
            "only a header": bytes_of(b"text,label\n"),
            "one class": bytes_of(b"text,label\n" + b"a film,good\n" * 40),
            "no label column": replaced("text,label", "text,class"),
            "a column twice": replaced("text,label", "text,text"),
            "an empty text": bytes_of(b"text,label\na film,good\n,bad\n"),
            "an empty label": bytes_of(b"text,label\na film,good\nanother film,\n"),
            "a row too short": bytes_of(b"text,label\na film,good\nanother film\n"),
            "a row too long": bytes_of(b"text,label\na film,good\nanother,film,bad\n"),
            "an open quotation mark": bytes_of(b'text,label\n"a film,good\nanother,bad\n'),
            "a NUL": bytes_of(b"text,label\na \0film,good\n"),
            "too few rows": bytes_of(b"text,label\na film,good\nanother film,bad\n"),
        },
        (truncated, with_wrong_bytes, with_lines_moved),
    ),
    "parameters": Kind(
        stage("check"),
        ("params.yaml",),
        0.25,
        {
            **EVERYWHERE,
            "a list": bytes_of(b"- 1\n- 2\n"),
            "not YAML": bytes_of(b"grid: [full, hard\n"),
            "tabs": bytes_of(b"grid:\n\tmodes: [full]\n"),
            "unknown mode": with_keys(grid__modes=["full", "hrad"]),
            "a seed twice": with_keys(grid__seeds=[1, 1]),
            "a negative seed": with_keys(grid__seeds=[-1]),
            "no seeds": with_keys(grid__seeds=[]),
            "unknown tag": with_keys(rules__hard={"ADJ": ["NUON"]}),
            "unknown rule": with_keys(rules__drop=["NOUN->VERB"]),
            "not a rule": with_keys(rules__add=["NOUN"]),
            "a NaN": with_keys(evaluate__equivalence_margin_points=float("nan")),
            "infinite": with_keys(rules__soft_strength=float("inf")),
            "unknown recipe": with_keys(train__recipe="fast"),
            "heads do not divide": with_keys(encoder__heads=3),
            "pieces exceed positions": with_keys(train__max_pieces=100000),
        },
        (with_another_value, with_another_value, truncated, with_lines_moved),
    ),
    "treebank": Kind(
        read_treebank,
        ("treebank/dev.conllu",),
        0.1,
        {
            **EVERYWHERE,
            "too few fields": replaced("\t_\n", "\n"),
            "a head that is not a number": replaced("\t0\t", "\tnone\t"),
            "a head that does not exist": replaced("\t0\t", "\t999\t"),
            "spaces instead of tabs": bytes_of(b"1 the the DET _ _ 2 det _ _\n\n"),
        },
        (truncated, with_wrong_bytes, with_lines_moved),
    ),
    "trained model": Kind(
        export_model,
        (
            "runs/core/hard-9/config.json",
            "runs/core/hard-9/model.safetensors",
            "runs/core/hard-9/tokenizer.json",
            "runs/core/hard-9/cell.json",
        ),
        0.1,
        {
            **EVERYWHERE,
            "no pattern": with_keys(ggsa_pattern=None),
            "another architecture": with_keys(model_type="gpt2"),
            "another width": with_keys(hidden_size=32),
        },
        (truncated, with_wrong_bytes),
    ),
    "encoder checkpoint": Kind(
        normalize_encoder,
        ("encoder/config.json", "encoder/model.safetensors", "encoder/tokenizer.json"),
        0.1,
        {
            **{name: EVERYWHERE[name] for name in ("empty", "binary", "not UTF-8")},
            "another architecture": with_keys(model_type="gpt2"),
            "another width": with_keys(hidden_size=32),
            "a list": bytes_of(b"[]"),
        },
        (truncated, with_wrong_bytes),
    ),
    "rule table": Kind(
        stage("train", "--mode", "hard", "--seed", "1"),
        ("data/rules/hard.json",),
        0.1,
        {
            **EVERYWHERE,
            "a list": bytes_of(b"[]"),
            "no tags": with_keys(tags=[]),
            "an infinite bias": with_keys(bias__ADJ__NOUN=float("inf")),
            "a bias that is text": with_keys(bias__ADJ__NOUN="x"),
            "unknown position": with_keys(
                positional={"kind": "spiral", "seed": 1, "match": None, "reach": None}
            ),
            "nothing allowed": lambda path, _: _blocked(path),
        },
        (truncated, with_another_value),
    ),
    "predictions": Kind(
        stage("compare", *TINY),
        (f"{CELL}/predictions.parquet", f"{CELL}/cell.json", f"{CELL}/history.csv"),
        0.1,
        {
            **EVERYWHERE,
            "fewer rows": without_rows,
            "logits that are not finite": with_column(
                "logits", lambda column: [*column[:-1], np.full(2, np.nan, np.float32)]
            ),
            "logits of another length": with_column(
                "logits", lambda column: [*column[:-1], np.zeros(3, np.float32)]
            ),
            "logits that are text": with_column("logits", lambda column: "x"),
            "other labels": with_column("label", lambda column: 1 - column),
            "unknown labels": with_column("label", lambda column: -1),
            "other ids": with_column("id", lambda column: list(column[::-1])),
            "another split": with_column("split", lambda column: "valid"),
        },
        (truncated, with_another_table),
    ),
    "study file": Kind(
        stage("plan", *TINY),
        ("studies/tiny/params.yaml",),
        0.1,
        {
            **EVERYWHERE,
            "a list": bytes_of(b"- 1\n"),
            "unknown arm": with_keys(reference="hrad"),
            "unknown mode": with_keys(arms__hard={"mode": "hrad"}),
            "unknown key": with_keys(arm={}),
            "a study that is a number": with_keys(arms=3),
            "no seeds": with_keys(corpora__sst2__seeds=[]),
            "unknown parameter": with_keys(overrides={"train.theads": 1}),
            "too few steps": with_keys(overrides={}),
        },
        (truncated, with_another_value, with_lines_moved),
    ),
}  # fmt: skip


def _blocked(path: Path) -> None:
    """Block every pair of a pattern."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content["bias"] = {q: dict.fromkeys(row) for q, row in content["bias"].items()}
    content.pop("mode")
    path.write_text(json.dumps(content), encoding="utf-8")


# The valid workspace.


def build(folder: Path) -> None:
    """Write a workspace in which the command of every kind succeeds."""
    from ggsa.assets import probe
    from ggsa.assets.probe import treebank
    from ggsa.patterns.modes import PatternData, pattern_for
    from ggsa.patterns.pattern import write_pattern
    from ggsa.training import study_cells
    from ggsa.workspace import artifacts, config, paths

    folder.mkdir()
    with contextlib.chdir(folder):
        content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        content["grid"] = {"modes": ["full", "hard"], "seeds": [1]}
        content["corpus"]["files"] |= {"train": "corpora/mine/train.csv"}
        content["train"] |= {"max_pieces": 12, "evaluate_every": 2}
        content["train"]["recipes"]["from_scratch"] |= {"batch_size": 16, "epochs": 1}
        content["evaluate"]["bootstrap_samples"] = 100
        artifacts.write_text(Path("params.yaml"), yaml.safe_dump(content, sort_keys=False))
        write_corpus()
        BertConfig(
            vocab_size=22, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=32,
        ).save_pretrained(paths.ENCODER)  # fmt: skip
        about = {
            "is_sst2": True, "substitutes": [],
            "corpus": {"name": "sst2", "source": "mirror", "rows": {"train": 120}},
            "tagger": {"name": "ewt", "source": "mirror", "sha256": "ab12" * 16},
            "encoder": {"pretrained": False, "checkpoint": None, "is_paper_checkpoint": False},
        }  # fmt: skip
        artifacts.write_json(paths.provenance(), about)
        params = config.load()
        for mode in ("full", "hard"):
            pattern = pattern_for(mode, params.rules, 0, PatternData(params))
            write_pattern(paths.rule_table(mode), pattern)
        rows = probe.generate(1)["train"][:120]
        Path("corpora/mine").mkdir(parents=True)
        pd.DataFrame(
            {"text": [" ".join(row.words) for row in rows], "label": [row.label for row in rows]}
        ).to_csv("corpora/mine/train.csv", index=False)
        Path("treebank").mkdir()
        sentences = treebank.treebank(1)["dev"].split("\n\n")[:60]
        Path("treebank/dev.conllu").write_text("\n\n".join(sentences) + "\n\n", encoding="utf-8")
        study = {
            "title": "Tiny", "question": "Is it read?", "reference": "full",
            "overrides": {"train.recipes.from_scratch.epochs": 200},
            "arms": {"full": None, "hard": None},
            "corpora": {"sst2": {"base": None, "seeds": [1]}},
        }  # fmt: skip
        artifacts.write_text(Path("studies/tiny/params.yaml"), yaml.safe_dump(study))
        study_cells.plan("tiny", "sst2")
        for arm in ("full", "hard"):
            study_cells.train_cell("tiny", "sst2", arm, 1)
        trained = write_model(Path("runs/core/hard-9"))
        shutil.copy(f"{CELL}/cell.json", trained)
        artifacts.write_json(
            trained / "cell.json", json.loads(Path(CELL, "cell.json").read_text()) | {"seed": 9}
        )
        _tables()
        write_model(Path("encoder"))
        BertForSequenceClassification.from_pretrained("encoder").save_pretrained("encoder")


def _tables() -> None:
    """Write the tables that a model card quotes."""
    from ggsa.workspace import paths
    from ggsa.workspace.tables import write_table

    common = {"arm": "hard", "mode": "hard", "split": "validation"}
    run = {"seed": 9, "n": 60, "accuracy": 0.8, "wilson_low": 0.7, "wilson_high": 0.9}
    write_table(paths.TABLES / "runs.csv", pd.DataFrame([{**common, **run}]))
    over = {"seeds": 2, "accuracy_mean": 0.8, "prediction_low": 0.7, "prediction_high": 0.9}
    write_table(paths.TABLES / "results.csv", pd.DataFrame([{**common, **over}]))


# Trials.


def feed_malformed(
    folder: Path, outcomes: Outcomes, inputs: int, seed: int, only: Collection[str]
) -> None:
    """Feed every handwritten input, and random ones up to a number of inputs."""
    build(folder / "valid")
    by_hand = sum(len(kind.by_hand) for kind in KINDS.values())
    for name, kind in KINDS.items():
        if only and name not in only:
            continue
        end = trial(folder, kind, lambda path: None, kind.files[0])
        if end != "still valid":
            raise SystemExit(f"{name}: the undamaged input fails: {end}")
        for damaged, damage in kind.by_hand.items():
            chance = random.Random(f"{seed} {name} {damaged}")
            end = trial(folder, kind, lambda path: damage(path, chance), kind.files[0])  # noqa: B023
            if end == "still valid":
                end = "accepted, and must be refused"
            outcomes.add(f"malformed {name}", damaged, end)
        for number in range(round(kind.share * max(0, inputs - by_hand))):
            chance = random.Random(f"{seed} {name} {number}")
            damage = chance.choice(kind.random)
            file = chance.choice(kind.files)
            if damage is with_another_value and file.endswith((".parquet", ".csv")):
                damage = with_another_table
            if damage is with_another_table and file.endswith(".json"):
                damage = with_another_value
            end = trial(folder, kind, lambda path: damage(path, chance), file)  # noqa: B023
            outcomes.add(f"malformed {name}", f"{damage.__name__} {number} of {file}", end)


def trial(folder: Path, kind: Kind, damage: Callable[[Path], None], file: str) -> str:
    """Return how a command ends on a workspace with one damaged file."""
    workspace = folder / "workspace"
    shutil.rmtree(workspace, ignore_errors=True)
    shutil.copytree(folder / "valid", workspace)
    with contextlib.chdir(workspace):
        damage(Path(file))
        before = snapshot(workspace)
        end, printed = ended(kind.command)
        if end != "refused":
            return end
        after = snapshot(workspace)
    changed = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    if changed:
        return f"refused, but wrote {', '.join(changed)}"
    if not printed.strip().endswith((".", ".)")) or "Traceback" in printed or len(printed) > 5000:
        return f"refused without a clear message: {printed[:300]!r}"
    return end


def ended(command: Callable[[], None]) -> tuple[str, str]:
    """Return how a command ended, and its message."""
    from stages import run

    def expire(*_: object) -> None:
        raise TimeoutError(f"no end after {SECONDS} s")

    signal.signal(signal.SIGALRM, expire)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            run(command)
        return "still valid", ""
    except SystemExit as stopped:
        if isinstance(stopped.code, str):
            return "refused", stopped.code
        return f"exit status {stopped.code} without a message", ""
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)
        ours = [f"{Path(f.filename).name}:{f.lineno}" for f in where if "/src/ggsa/" in f.filename]
        return f"{type(error).__name__}: {str(error)[:200]} ({' > '.join(ours[-3:])})", ""
    finally:
        signal.alarm(0)


def snapshot(folder: Path) -> dict[str, str]:
    """Return the checksum of every file of a folder, by its path, without caches and times."""
    files = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            key = path.relative_to(folder).as_posix()
            if not key.startswith(NOISE) and "__pycache__" not in key:
                files[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return files
