"""The templates, styles and scripts of the folder `web`, which hold the HTML and prose of a page."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from ggsa.report import wording

WEB = Path(__file__).with_name("web")


def in_line(*names: str) -> Markup:
    """Return files of the folder `web`, joined and unescaped."""
    return Markup("\n").join(
        Markup((WEB / name).read_text(encoding="utf-8").rstrip()) for name in names
    )


def render(name: str, **given: Any) -> str:
    """Return a template with values filled in.

    A template can call `in_line` and the functions of `wording`. In one of HTML, values are escaped,
    and the filter `tojson` writes data that cannot end their script.
    """
    environment = Environment(
        loader=FileSystemLoader(WEB),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"in_line": in_line, "wording": wording}
    as_is = {"ensure_ascii": False, "separators": (",", ":")}
    environment.policies["json.dumps_kwargs"] = as_is
    return environment.get_template(name).render(**given)
