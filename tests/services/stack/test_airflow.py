"""Airflow's configuration, and the client of its API; with a server: tests/e2e/test_airflow.py."""

import json
from pathlib import Path

import pytest
import yaml
from confluent_kafka import Consumer
from pydantic import SecretStr

from covla.errors import ServiceUnavailable
from covla.settings import Settings
from services.stack import airflow
from services.stack.airflow_api import AirflowClient


def test_no_airflow_is_one_clear_line() -> None:
    with AirflowClient("http://127.0.0.1:1") as client:
        assert not client.healthy()
        with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:1 .*covla up --airflow"):
            client.dags()


def test_the_way_to_the_alerts_topic_is_that_of_the_settings(
    offline_settings: Settings, tmp_path: Path
) -> None:
    assert airflow.alert_topic(offline_settings) == {}  # no broker is known
    settings = Settings(
        state=offline_settings.state,
        kafka_bootstrap="a:1,b:2",
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_sasl_username="me",
        kafka_sasl_password=SecretStr("s3cret"),
        kafka_ssl_cafile=tmp_path / "ca.pem",
        topic_prefix="ours",
    )
    given = airflow.alert_topic(settings)
    assert given["AIRFLOW__COVLA__ALERTS_TOPIC"] == "ours.alerts"
    connection = json.loads(given["AIRFLOW_CONN_COVLA_KAFKA"])
    assert connection["conn_type"] == "kafka"
    assert connection["extra"] == {
        "bootstrap.servers": "a:1,b:2",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "me",
        "sasl.password": "s3cret",
        "ssl.ca.location": str(tmp_path / "ca.pem"),
        "group.id": "ours.airflow",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "session.timeout.ms": 15000,
    }
    del connection["extra"]["ssl.ca.location"]
    Consumer(connection["extra"]).close()  # the library knows each name and value


def test_the_compose_file_has_the_same_way_to_it(offline_settings: Settings) -> None:
    compose = yaml.safe_load((airflow.DAGS.parent / "docker-compose.yml").read_text())
    environment = compose["services"]["airflow-triggerer"]["environment"]
    settings = Settings(state=offline_settings.state, kafka_bootstrap="kafka:9092")
    ours = airflow.alert_topic(settings)
    connection = json.loads(ours["AIRFLOW_CONN_COVLA_KAFKA"])
    del connection["extra"]["security.protocol"]  # the default
    assert json.loads(environment["AIRFLOW_CONN_COVLA_KAFKA"]) == connection
    topic = "AIRFLOW__COVLA__ALERTS_TOPIC"
    assert environment[topic] == ours[topic]
