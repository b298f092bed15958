"""Ctrl-C as a terminal sends it, for the tests that interrupt a stage."""

import signal


def takes_interrupts() -> None:
    """Make a child process obey SIGINT, which a shell disables for its background jobs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
