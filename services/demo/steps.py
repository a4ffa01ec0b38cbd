"""How the demo runs a step: a command in a child process, its time and its result printed."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from covla.errors import CovlaError, Refused
from covla.settings import Settings


class Steps:
    """Numbered steps on stderr; stdout stays free for the result."""

    def __init__(self, settings: Settings, total: int) -> None:
        self.settings = settings
        self.console = Console(stderr=True, highlight=False)
        self.total = total
        self.number = 0

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step: its number and title now, its seconds when it ends."""
        self.number += 1
        self.console.print(f"[bold cyan][{self.number:>2}/{self.total}][/] [bold]{title}[/]")
        started = time.monotonic()
        yield
        self.console.print(f"        [green]done[/] in {time.monotonic() - started:.1f} s")

    def log(self, message: str) -> None:
        """A line of what came out of the present step."""
        self.console.print(f"        {message}", markup=False, soft_wrap=True)

    def command(self, *arguments: str) -> dict[str, Any]:
        """Run `covla ARGUMENTS --json` as a person would; its progress passes through.

        Raises:
            CovlaError: it ended with another exit code than 0.
        """
        self.console.print(
            f"        $ covla {' '.join(arguments)}", style="dim", markup=False, soft_wrap=True
        )
        completed = subprocess.run(
            [sys.executable, "-m", "covla.cli", *arguments, "--json"],
            stdout=subprocess.PIPE,
            text=True,
            env=self.settings.environment(),
            check=False,
        )
        if completed.returncode:
            kind = Refused if completed.returncode == Refused.exit_code else CovlaError
            raise kind(f"covla {arguments[0]} ended with exit code {completed.returncode}")
        result: dict[str, Any] = json.loads(completed.stdout.strip().splitlines()[-1])
        return result
