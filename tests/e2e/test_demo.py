"""The README's first command, from a bare state folder to a retrained champion."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from covla.settings import Settings
from monitoring.retrain_policy import decisions
from tests.conftest import RunCommand

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1600)]

# Not the default, which a test of the broker beside this one may need back.
KAFKA_PORT = 19_092
FIELDS = {
    "posts_published", "posts_ingested", "predictions", "dead_letters", "accuracy_before",
    "accuracy_drifted", "accuracy_after", "champion_before", "champion_after", "drift_modality",
    "rest_status", "rest_equals_stream", "seconds",
}  # fmt: skip


def processes_of(state: Path) -> list[psutil.Process]:
    """Every process that was given this state folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("COVLA_STATE") == str(state):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_the_demo_shows_the_whole_loop(run_command: RunCommand, tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, kafka_port=KAFKA_PORT)
    # Fewer posts than `make demo`, the same demo.
    done = run_command(settings, "demo", "--exit", "--json", "--scale", 0.5, timeout=1500)
    assert done.returncode == 0, done.stderr[-3000:]
    told = done.json
    assert set(told) == FIELDS
    assert told["posts_published"] == told["predictions"] + told["dead_letters"]
    assert told["posts_ingested"] == told["predictions"]
    assert told["dead_letters"] == 3
    assert told["accuracy_before"] >= 0.80
    lost = told["accuracy_before"] - told["accuracy_drifted"]
    assert lost >= 0.05
    assert told["accuracy_after"] >= told["accuracy_drifted"] + 0.6 * lost
    assert told["drift_modality"] == "image"
    assert told["champion_after"] != told["champion_before"]
    assert told["rest_status"] == 200
    assert told["rest_equals_stream"] is True
    (decision,) = decisions(settings)  # of the run that the drift started
    assert (decision.because, decision.due) == ("drift", True)
    assert f"note of the run: {decision.why}" in done.stderr
    assert processes_of(tmp_path) == []


def test_an_interrupted_demo_leaves_no_process(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, kafka_port=KAFKA_PORT)
    # A shell's background job is born deaf to Ctrl-C, and what it starts would be.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    command = [sys.executable, "-m", "covla.cli", "demo", "--scale", "0.05"]
    demo = subprocess.Popen(
        command, env=settings.environment(), stderr=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not (settings.run / "ingest.json").exists() and time.monotonic() < deadline:
        assert demo.poll() is None, demo.stderr and demo.stderr.read()
        time.sleep(0.2)
    os.killpg(demo.pid, signal.SIGINT)  # what a terminal sends to the foreground group
    _, words = demo.communicate(timeout=120)
    assert demo.returncode == 130, words.decode()[-2000:]
    assert b"Traceback" not in words
    assert processes_of(tmp_path) == []
    assert json.loads((tmp_path / "demo.json").read_bytes())["end"]
