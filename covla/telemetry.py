"""Nothing reports to the makers of a library, in this process or in those that it starts.

Some of them report unless they are told not to. OpenVINO does so from a fork of the whole process
for each network that it converts, and its only switch is a file in the user's home; without the
package that sends, it uses a stub of its own.
"""

import os
import sys

SWITCHES = {
    "DO_NOT_TRACK": "true",  # Evidently, Hugging Face
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def switch_off() -> None:
    """Before the first import of such a library. What an operator has set stays."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
    # BentoML's command line has looked, and kept what it found, before it imports a service.
    usage = sys.modules.get("bentoml._internal.utils.analytics.usage_stats")
    if usage is not None:
        usage.do_not_track.cache_clear()
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
