"""A verb in a process of its own that need not import torch and Feast again.

multiprocessing's fork server imports both once for the whole run, ten seconds that most of the
verbs would each pay; every verb is forked off it and runs `covla.cli.main`, as the command does,
with an environment, standard streams and an exit code of its own.
"""

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["covla.training.trainer", "features.feast_api"])


def run(
    args: Sequence[str], environment: dict[str, str], *, timeout: float, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run `covla ARGS` to its end.

    Raises:
        subprocess.TimeoutExpired: after `timeout` seconds; the process is killed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "0").write_text(stdin)
        process = _server.Process(target=_main, args=(list(args), environment, folder))
        process.start()
        process.join(timeout)
        late = process.exitcode is None
        if late:
            process.kill()
            process.join()
        out, err = ((folder / stream).read_text() for stream in "12")
    command = ["covla", *args]
    if late or process.exitcode is None:
        raise subprocess.TimeoutExpired(command, timeout, out, err)
    return subprocess.CompletedProcess(command, process.exitcode, out, err)


def _main(args: list[str], environment: dict[str, str], folder: Path) -> None:
    for stream in (0, 1, 2):
        path = folder / str(stream)
        handle = os.open(path, os.O_RDONLY if stream == 0 else os.O_WRONLY | os.O_CREAT)
        os.dup2(handle, stream)
        os.close(handle)
    sys.stdin = os.fdopen(0, closefd=False)  # multiprocessing gave it an empty one
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["covla", *args]
    from covla.cli import main

    try:
        main()
    finally:
        # multiprocessing ends a child without them; the command does not.
        atexit._run_exitfuncs()
