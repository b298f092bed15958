"""Refuse a wrong params.yaml, and files of the user's that do not fit it, before any other stage."""

from ggsa.assets import corpora, precheck
from ggsa.patterns import modes
from ggsa.workspace import artifacts, config, paths
from stages import run


def main() -> None:
    """Check params.yaml as a whole; write the same constant each time, so that nothing reruns."""
    params = config.load(known={"mode": modes.names(), "corpus": corpora.names()})
    precheck.check(params)
    artifacts.write_json(paths.PARAMS_CHECKED, {"params.yaml": "sound"})
    print("params.yaml is sound", flush=True)


if __name__ == "__main__":
    run(main)
