"""Every command and every example of README and docs that costs seconds, in a finished run."""

import pytest

pytestmark = pytest.mark.pipeline
