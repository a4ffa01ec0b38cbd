"""Every setting of the system, read from `COVLA_*` variables here and nowhere else."""

import os
import secrets
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import (
    AwareDatetime,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from covla.errors import CovlaError
from covla.state_folder import sqlite_uri, usable_folder


class Settings(BaseSettings):
    """Defaults run the whole system in one folder on a laptop."""

    model_config = SettingsConfigDict(env_prefix="COVLA_", frozen=True)

    state: Path = Field(Path(".state"), description="Folder for everything that is written")

    run_folder: Path | None = Field(
        None, description="Records of this host's processes, where hosts share a state folder"
    )

    # Kafka. Without a bootstrap address, the broker that `covla up` started is used.
    kafka_bootstrap: str | None = None
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_cafile: Path | None = None
    topic_prefix: str = "covla"
    topic_partitions: int = Field(3, ge=1, le=1000)
    topic_replication: int = Field(1, ge=1, le=10)
    kafka_jars: Path = Field(
        Path("~/.cache/covla/kafka"), description="The local broker's jars, for every state folder"
    )

    # Limits, checked before any work is done on a post.
    max_text_characters: int = Field(4_000, ge=1)
    max_image_bytes: int = Field(700_000, ge=1, description="Of the base64 text, as on the wire")
    max_image_pixels: int = Field(40_000_000, ge=1, le=89_478_485, description="Pillow's at most")
    max_message_bytes: int = Field(1_000_000, ge=1)
    earliest_time: AwareDatetime = Field(
        datetime(2000, 1, 1, tzinfo=UTC), description="No time on the wire may be before it"
    )
    future_minutes: int = Field(
        15, ge=0, le=60 * 24 * 366, description="Nor so long after now: clocks run ahead"
    )
    unreadable_image: Literal["reject", "text_only"] = Field(
        "reject", description="A post with text and a broken image: an error, or text alone"
    )

    # Stores.
    blob_root: str | None = Field(None, description="fsspec address; default: state/blobs")
    online_store: Literal["sqlite", "redis"] = "sqlite"
    redis_url: str = "localhost:6379"
    mlflow_uri: str | None = None
    author_key: SecretStr | None = Field(None, description="Key of the author hashes")

    # The model.
    model: str = Field(
        "champion", description="Who answers: champion, a version number, or a model folder"
    )
    shadow_cpu_share: float = Field(
        0.2, gt=0, le=1, description="Share of the time that a shadow may work at a stream worker"
    )
    labels: Path | None = Field(None, description="Taxonomy YAML; else posts/taxonomy.yaml")
    expectations: Path | None = Field(
        None, description="Own severities and limits of validation, over its expectations.yaml"
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    io_workers: int | None = Field(
        None,
        ge=0,
        le=256,
        description="Processes that decode; 0: threads do. Default: some where there is a GPU",
    )
    train_window_hours: int = Field(24 * 30, ge=1, le=24 * 366 * 20)
    preset: str = Field(
        "base",
        description="Encoders of training, and of ingest before a champion: base, or a hub id",
    )
    backfill_days: int = Field(
        7, ge=1, le=366 * 20, description="Posts that a promotion of other encoders encodes anew"
    )
    teacher: str = Field(
        "ensemble", description="Of distillation and training: ensemble, self, none, a hub id ..."
    )

    # What `covla housekeeping` removes, in days. A day is the least: what is being written stays.
    blob_retention_days: int = Field(
        90, ge=1, le=366 * 20, description="Images, from when they or a post with them last came"
    )
    text_retention_days: int = Field(
        365, ge=1, le=366 * 20, description="Texts of posts, from when the post came"
    )
    cache_retention_days: int = Field(
        30, ge=1, le=366 * 20, description="What can be computed again, from when it was last read"
    )
    model_retention_days: int = Field(
        90,
        ge=1,
        le=366 * 20,
        description="Model versions that the gate refused or people took back",
    )
    report_retention_days: int = Field(180, ge=1, le=366 * 20)

    # Retraining by the clock or after drift.
    retrain_cooldown_hours: float = Field(24, ge=0, description="From one retrain to the next")
    retrain_per_week: int = Field(3, ge=1, description="At most so many in 7 days")
    retrain_min_labels: int = Field(
        50, ge=0, description="Labelled posts that came since the last retrain, at least"
    )

    # Alerts.
    alert_open_after: int = Field(
        2, ge=1, le=100, description="Time ranges with drift, one after the other, that open"
    )
    alert_close_after: int = Field(
        3, ge=1, le=1_000, description="Time ranges without drift, one after the other, that close"
    )
    webhook_url: SecretStr | None = Field(None, description="Where alerts are posted")
    webhook_form: Literal["slack", "json"] = Field("json", description="What is posted there")
    reports_url: str | None = Field(
        None, description="Address of STATE/reports in a browser, for links in alerts"
    )

    # The guard of a promotion.
    guard_hours: float = Field(24, gt=0, description="How long a new champion is guarded")
    guard_min_posts: int = Field(50, ge=2, description="Predicted posts before the first look")
    guard_posts: int = Field(300, ge=2, le=10_000, description="Posts of a look, at most")

    # Servers.
    host: str = "127.0.0.1"
    api_keys: Literal["auto", "required", "off"] = Field(
        "auto", description="Of REST; auto: required where it listens on more than loopback"
    )
    api_key: SecretStr | None = Field(None, description="What covla.client sends")
    rest_port: int = 3000
    page_links: str = Field(
        "{}", description="Links at the foot of the REST page: a JSON object, name -> address"
    )
    rest_timeout: float = Field(
        30,
        gt=0,
        le=55,
        description="Seconds that a request may take, where its header says no less",
    )
    kafka_port: int = 9092
    airflow_port: int = 8080
    postgres_port: int = 5432
    mlflow_port: int = 5000
    evidently_port: int = 8000

    @field_validator("state")
    @classmethod
    def _usable(cls, value: Path) -> Path:
        return usable_folder(value)

    @field_validator("webhook_url")
    @classmethod
    def _web_address(cls, value: SecretStr | None) -> SecretStr | None:
        # Not shown: whoever knows the address may post there.
        if value is None or not value.get_secret_value():
            return None  # docker-compose.yml passes on what .env does not have as an empty text
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("it is no http:// or https:// address")
        return value

    @field_validator("page_links")
    @classmethod
    def _web_addresses(cls, value: str) -> str:
        TypeAdapter(dict[str, HttpUrl]).validate_json(value)
        return value

    @property
    def lake(self) -> Path:
        """Parquet files, append-only."""
        return self.state.absolute() / "lake"

    @property
    def blobs(self) -> str:
        """Root of the image store, an fsspec address; what a post's image URI must be inside."""
        return self.blob_root or (self.state.absolute() / "blobs").as_uri()  # with %20 for a blank

    @property
    def cache(self) -> Path:
        """What can be computed again: compiled encoders, encoded posts."""
        return self.state.absolute() / "cache"

    @property
    def run(self) -> Path:
        """One JSON file per local process that `covla up` started."""
        return (self.run_folder or self.state / "run").absolute()

    @property
    def reports(self) -> Path:
        """HTML and JSON that people read."""
        return self.state.absolute() / "reports"

    @property
    def models(self) -> Path:
        """Trained model folders, before and after registration."""
        return self.state.absolute() / "models"

    @property
    def mlflow(self) -> str:
        """Tracking and registry address."""
        if self.mlflow_uri:
            return self.mlflow_uri
        return sqlite_uri(self.state.absolute() / "mlflow" / "mlflow.db")

    def environment(self) -> dict[str, str]:
        """This process's environment with these settings, for a child process.

        Only what was set explicitly is passed on, and paths as absolute ones: a child may run in
        another working directory.
        """
        kept = {name: value for name, value in os.environ.items() if not _is_ours(name)}
        for name in self.model_fields_set | {"state"}:
            value = getattr(self, name)
            if isinstance(value, Path):
                value = value.expanduser().absolute()
            elif isinstance(value, SecretStr):
                value = value.get_secret_value()
            if value is not None:
                kept[f"COVLA_{name.upper()}"] = str(value)
        return kept

    def author_secret(self) -> bytes:
        """The key of author hashes: the setting, or one made once and kept in the state folder."""
        if self.author_key is not None:
            return self.author_key.get_secret_value().encode()
        path = self.state / "author.key"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(f".{secrets.token_hex(4)}")
            draft.write_text(secrets.token_hex(32))
            draft.chmod(0o600)
            try:
                path.hardlink_to(draft)  # the first of several processes wins; all read the winner
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return path.read_text().encode()


def mlflow_login() -> tuple[tuple[str, str] | None, str | None]:
    """User and password, and a token, for an MLflow server, by the names that MLflow itself reads;
    None where not set."""
    user, word, token = (
        os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD", "TOKEN")
    )
    return ((user, word) if user and word else None), token or None


def _is_ours(name: str) -> bool:
    return name.upper().startswith("COVLA_")


def pin_state() -> None:
    """Give the state folder as an absolute path to the processes that this one will start, as
    these may begin in another working directory."""
    os.environ["COVLA_STATE"] = str(get_settings().state.absolute())


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings, read once.

    Raises:
        CovlaError: a setting cannot be used; it names the first one.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise CovlaError(f"COVLA_{name}: {first['msg'].removeprefix('Value error, ')}") from None
