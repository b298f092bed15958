"""Python programs that start at once: forks of a process that has imported the libraries.

A fresh interpreter imports PyTorch, transformers and Stanza for seconds. A fork finds them imported,
and nothing of this package: that is loaded each time, as in a fresh interpreter.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

SERVER = r"""
import json, os, runpy, sys

import pandas, scipy.stats, stanza, torch
import transformers.models.bert.modeling_bert, transformers.loss.loss_utils

assert "ggsa" not in sys.modules
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        for number, name in enumerate(order["files"]):  # as standard input, output and error
            os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), number)
        os.chdir(order["folder"])
        sys.path[:0] = order["path"]
        sys.argv = order["arguments"]
        try:
            if sys.argv[0] == "-c":
                exec(compile(sys.argv.pop(1), "<string>", "exec"), {"__name__": "__main__"})
            else:
                runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
            status = 1 if isinstance(end.code, str) else int(end.code or 0)
        except BaseException:
            import traceback
            traceback.print_exc()
            status = 1
        else:
            status = 0
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Preloaded:
    """Runs modules and programs in forks; one at a time."""

    def __init__(self, scratch: Path, environment: Mapping[str, str]) -> None:
        self.files = [str(scratch / name) for name in ("input", "output", "error")]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER], env={**environment}, cwd=scratch, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def run(
        self, folder: Path, *arguments: str, path: Sequence[Path] = ()
    ) -> subprocess.CompletedProcess:
        """Run `-c PROGRAM` or a module with its arguments in a folder, with more on `sys.path`."""
        for file in self.files:
            Path(file).write_text("")
        order = {"folder": os.fspath(folder), "arguments": arguments, "files": self.files}
        print(
            json.dumps(order | {"path": [*map(os.fspath, path)]}),
            file=self.process.stdin,
            flush=True,
        )
        answer = self.process.stdout.readline()
        assert answer, "the process that forks has ended"
        _, output, error = (Path(file).read_text(errors="replace") for file in self.files)
        return subprocess.CompletedProcess(arguments, int(answer), output, error)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=60)
