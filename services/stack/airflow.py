"""Airflow on this machine: `airflow standalone` on PostgreSQL, over the DAGs that are in covla."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from covla.errors import CovlaError, ServiceUnavailable
from covla.kafka import clients
from covla.settings import Settings
from covla.waiting import wait_until
from services.stack import pages, ports, postgres, processes
from services.stack.airflow_api import AirflowClient
from services.stack.processes import Process

NAME = "airflow"
UNWELL_S = 45.0  # Airflow takes a part for dead after 30 s without a sign of life
# Beside the packages in a checkout, and in the site-packages of an installed wheel.
DAGS = Path(__file__).parents[2] / "dags"


def start(
    settings: Settings, *, dags: Path = DAGS, options: Mapping[str, str] | None = None
) -> Process:
    """Start scheduler, DAG processor, triggerer and API server and their PostgreSQL, or return
    those that run. Where one has ended, which `airflow standalone` goes on without, all are started
    anew.

    `options` are those of section [covla] of Airflow's configuration (dags/include/clock.py).

    Everything Airflow writes is in `<state>/airflow`. Tasks get this process's COVLA_* settings.
    All of its processes together hold up to 6 GB.

    Raises:
        CovlaError: the dags folder is not there, or a port set by hand is taken.
        ServiceUnavailable: Airflow does not come up.
    """
    if running := processes.running(settings, NAME):
        # The parts of one that lost its database end, some a while after they were last healthy.
        if processes.running(settings, postgres.NAME) and _recovers(running.address):
            return running
        processes.stop(settings, NAME)
    if not dags.is_dir():
        raise CovlaError(f"there is no dags folder at {dags}", hint="Install covla again")
    watch = alert_topic(settings)
    if watch and clients.answers(settings):
        clients.ensure_topics(settings)  # the triggerer cannot wait for a topic that is not there
    database = postgres.sqlalchemy_uri(postgres.start(settings).address)
    home = settings.state.absolute() / "airflow"
    home.mkdir(parents=True, exist_ok=True)
    port = ports.choose(settings, "airflow_port")
    address = f"http://{ports.LOOPBACK}:{port}"
    return processes.start(
        settings,
        NAME,
        [str(Path(sys.executable).with_name("airflow")), "standalone"],
        address=address,
        ready=lambda: answers(address),
        timeout=180,
        env=pages.environment(settings)
        | _config(home, dags.absolute(), port, address, database)
        | watch
        | {f"AIRFLOW__COVLA__{name.upper()}": value for name, value in (options or {}).items()},
    )


def answers(address: str) -> bool:
    """Whether scheduler, DAG processor and database are healthy."""
    with AirflowClient(address) as client:
        return client.healthy()


def _recovers(address: str) -> bool:
    try:
        wait_until(lambda: answers(address), timeout=UNWELL_S, error=lambda _: TimeoutError())
    except TimeoutError:
        return False
    return True


def alert_topic(settings: Settings) -> dict[str, str]:
    """Airflow's configuration for reading the alerts topic; nothing where no broker is known.

    Names of the connection's options: https://github.com/confluentinc/librdkafka CONFIGURATION.md
    """
    try:
        broker = clients.bootstrap(settings)
    except ServiceUnavailable:
        return {}
    password = settings.kafka_sasl_password
    cafile = settings.kafka_ssl_cafile
    config = {
        "bootstrap.servers": broker,
        "security.protocol": settings.kafka_security_protocol,
        "sasl.mechanism": settings.kafka_sasl_mechanism,
        "sasl.username": settings.kafka_sasl_username,
        "sasl.password": password and password.get_secret_value(),
        "ssl.ca.location": cafile and str(cafile.expanduser().absolute()),
        "group.id": f"{settings.topic_prefix}.airflow",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "session.timeout.ms": clients.SESSION_MS,
    }
    extra = {name: value for name, value in config.items() if value is not None}
    return {
        "AIRFLOW__COVLA__ALERTS_TOPIC": clients.Topics.of(settings).alerts,
        "AIRFLOW_CONN_COVLA_KAFKA": json.dumps({"conn_type": "kafka", "extra": extra}),
    }


def _config(home: Path, dags: Path, port: int, address: str, database: str) -> dict[str, str]:
    options = {
        ("core", "dags_folder"): str(dags),
        ("core", "plugins_folder"): str(dags / "plugins"),
        ("core", "load_examples"): "False",
        ("core", "dags_are_paused_at_creation"): "False",
        ("core", "executor"): "LocalExecutor",
        ("core", "execution_api_server_url"): f"{address}/execution/",
        # No login: it listens on the loopback address only.
        ("core", "simple_auth_manager_all_admins"): "True",
        # `standalone` starts tasks before its API server is up: wait for that about a minute.
        ("workers", "execution_api_retries"): "10",
        # Two cores: two tasks at once, one worker and one parser.
        ("core", "parallelism"): "2",
        ("api", "workers"): "1",
        ("dag_processor", "parsing_processes"): "1",
        ("api", "host"): ports.LOOPBACK,
        ("api", "port"): str(port),
        ("api", "base_url"): address,
        ("database", "sql_alchemy_conn"): database,
        # A new or changed DAG file is seen within seconds; unchanged ones cost little.
        ("dag_processor", "refresh_interval"): "5",
        ("dag_processor", "bundle_refresh_check_interval"): "2",
        ("dag_processor", "min_file_process_interval"): "30",
        ("dag_processor", "dag_bundle_storage_path"): str(home / "bundles"),
        # Airflow does not fill in its home in these where that has a percent sign.
        ("logging", "base_log_folder"): str(home / "logs"),
        ("logging", "dag_processor_child_process_log_directory"): str(home / "logs/dag_processor"),
    }
    named = {f"AIRFLOW__{part}__{name}".upper(): value for (part, name), value in options.items()}
    return {"AIRFLOW_HOME": str(home), **named}
