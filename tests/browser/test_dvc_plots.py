"""The page that `dvc plots show` writes, without a network."""

from pathlib import Path

import pytest
from dvc.config import Config
from dvc_render import VegaRenderer
from dvc_render.html import HTML


@pytest.fixture
def page(root: Path, tmp_path: Path) -> Path:
    """The page in the template that DVC's configuration names, with DVC's scripts and no plot."""
    dvc = root / ".dvc"
    template = dvc / Config(str(dvc))["plots"]["html_template"]
    html = HTML(template.read_text()).with_scripts(VegaRenderer.SCRIPTS).with_element("<b>plot</b>")
    path = tmp_path / "index.html"
    path.write_text(html.embed())
    return path


@pytest.mark.parametrize("loaded", [False, True])
def test_a_page_of_plots_without_its_library_says_why_it_is_empty(
    browser, page: Path, loaded: bool
) -> None:
    context = browser.new_context(offline=True)
    opened = context.new_page()
    if loaded:
        opened.add_init_script("window.vegaEmbed = () => null")
    opened.goto(page.as_uri())
    assert opened.get_by_text("network connection").is_visible() != loaded
    assert opened.get_by_text("plot", exact=True).is_visible()
    context.close()
