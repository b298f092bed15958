"""Interruptions as a terminal sends them, for the tests that press Ctrl-C."""

import signal


def takes_interrupts() -> None:
    """In a child process: heed SIGINT even where the tests run in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
