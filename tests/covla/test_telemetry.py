"""A process of ours tells nobody that it ran."""

import os
import subprocess
import sys
from pathlib import Path

CONVERT = """
import os
forks = []
os.register_at_fork(before=lambda: forks.append(1))
from covla.model.runtime.conversion import convert
import numpy, torch
network = convert(torch.nn.Linear(4, 4), (numpy.zeros((1, 4), "float32"),), [])
from covla.model.runtime.quantize import openvino_int8
openvino_int8(network, [(numpy.ones((1, 4), "float32"),)], transformer=False)
assert not forks, f"the process was forked {len(forks)} times"
"""


def _run(code: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    # Reporters keep quiet where they see a CI.
    kept = {k: v for k, v in os.environ.items() if k not in ("CI", "TF_BUILD", "JENKINS_URL")}
    command = [sys.executable, "-W", "ignore", "-c", code]
    env = kept | {"HOME": str(home)} | more
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_a_converted_network_is_nobodys_business(tmp_path: Path) -> None:
    done = _run(CONVERT, tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*telemetry*")) + list(tmp_path.rglob("*_ga_*")) == []
    assert not (tmp_path / "intel").exists()


def test_what_an_operator_has_set_stays(tmp_path: Path) -> None:
    code = "import covla, os; print(os.environ['MLFLOW_DISABLE_TELEMETRY'])"
    assert _run(code, tmp_path).stdout.strip() == "true"
    assert _run(code, tmp_path, MLFLOW_DISABLE_TELEMETRY="false").stdout.strip() == "false"
