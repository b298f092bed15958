"""The stages of dvc.yaml, one script each, and what they share: how they start and how they fail.

`dvc repro` runs each as `python3 -m stages.<name>`. A user's mistake ends in one paragraph on the
terminal; a traceback means a defect of this project.
"""

import importlib.util
import os
import sys
from collections.abc import Callable

NEEDED = ("pydantic", "torch", "transformers", "stanza", "datasets", "pandas", "papermill")

_absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
if _absent:
    sys.exit(
        f"This stage wants the project's environment: {sys.executable} lacks {', '.join(_absent)}. "
        "Run `make setup` once, then `source .venv/bin/activate`; or `make repro`, which does both."
    )

# One line of noise per model that is loaded or saved says nothing of this pipeline.
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
# Set before any tokenizer is made: a tokenizer that was used and then forked only warns.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


def run(main: Callable[[], None]) -> None:
    """Run a stage; print a user's mistake or an interruption as a sentence, and exit non-zero."""
    from ggsa.errors import UserError

    try:
        main()
    except UserError as error:
        sys.exit(f"\n{error}\n")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. What was finished is kept; `dvc repro` goes on from there.\n")
