"""The real Hub: the pinned revisions exist and hold what the checksums say."""

import pytest
import yaml

from ggsa import assets
from ggsa.assets import encoder, hub
from ggsa.assets.corpora import sst2
from ggsa.assets.policy import Unavailable
from ggsa.workspace import config, paths

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def params():
    content = yaml.safe_load(paths.PARAMS.read_text())
    content["assets"]["source"] = "hub"
    content["encoder"]["initialization"] = "pretrained"
    made = config.parse(content)
    try:
        hub.require_hub(made.assets.hub_timeout_seconds)
    except Unavailable as error:
        pytest.skip(f"the Hub cannot be reached: {error}")
    return made


def test_all_three_assets_come_from_the_pinned_revisions(params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    provenance = assets.download(params)
    assert provenance["is_sst2"] is True
    assert provenance["encoder"]["is_paper_checkpoint"] is True
    assert provenance["encoder"]["revision"] == encoder.PAPER_REVISION
    assert provenance["corpus"]["sha256"]["train"] == sst2.CHECKSUMS.rows["train"]
    assert provenance["corpus"]["test_labeled"] is True
    assert provenance["substitutes"] == []
