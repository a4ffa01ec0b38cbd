"""A small client of Airflow's REST API v2: trigger a DAG, wait for its run, read its log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import httpx

from covla.errors import CovlaError, Refused, ServiceUnavailable
from covla.waiting import wait_until

ENDED = ("success", "failed")


@dataclass(frozen=True)
class DagRun:
    """One run of a DAG."""

    run_id: str
    run_type: str  # manual, scheduled, asset_triggered ...


class AirflowClient:
    """Talks to an Airflow. That of `covla up --airflow` asks for no password, that of
    docker-compose.yml for the user and password of .env."""

    def __init__(self, address: str, login: tuple[str, str] | None = None) -> None:
        """`login` is a user's name and password."""
        self.address = address
        self._login = login
        self._http = httpx.Client(base_url=address, timeout=30, trust_env=False)
        self._token = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def healthy(self) -> bool:
        """Whether the database, the scheduler and the DAG processor are healthy."""
        try:
            answer = self._http.get("/api/v2/monitor/health", timeout=5)
            parts = answer.json() if answer.status_code == httpx.codes.OK else {}
        except (httpx.HTTPError, ValueError):
            return False
        needed = ("metadatabase", "scheduler", "dag_processor")
        return all((parts.get(part) or {}).get("status") == "healthy" for part in needed)

    def dags(self) -> list[str]:
        """Ids of the DAGs that the DAG processor has read."""
        dags = self.call("GET", "/dags", params={"limit": 1000})["dags"]
        return sorted(dag["dag_id"] for dag in dags)

    def import_errors(self) -> dict[str, str]:
        """DAG file -> why it cannot be read."""
        errors = self.call("GET", "/importErrors", params={"limit": 1000})["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in errors}

    def wait_for_dag(self, dag_id: str, *, timeout: float = 60) -> None:
        """Wait until a DAG has been read from its file.

        Raises:
            CovlaError: it is not there after `timeout` seconds; it names the broken files.
        """

        def unknown(_: bool) -> CovlaError:
            broken = ", ".join(self.import_errors()) or "none"
            return CovlaError(f"Airflow knows no DAG {dag_id!r}; broken DAG files: {broken}")

        wait_until(lambda: dag_id in self.dags(), timeout=timeout, error=unknown)

    def pause(self, dag_id: str, paused: bool = True) -> None:
        """While it is paused, no run of the DAG starts by its schedule or its assets."""
        self.call("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def trigger(self, dag_id: str, conf: Mapping[str, str] | None = None) -> str:
        """Start a run with `conf` and return its run id."""
        body = {"conf": dict(conf or {}), "logical_date": None}
        return str(self.call("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def backfill(self, dag_id: str, first: datetime, last: datetime) -> None:
        """Have the runs made of the intervals that begin from `first` to `last`."""
        dates = {"from_date": first.isoformat(), "to_date": last.isoformat()}
        self.call("POST", "/backfills", json={"dag_id": dag_id, **dates})

    def runs(self, dag_id: str) -> list[DagRun]:
        """Runs of a DAG, newest first."""
        parameters = {"order_by": "-run_after", "limit": 100}
        runs = self.call("GET", f"/dags/{dag_id}/dagRuns", params=parameters)["dag_runs"]
        return [DagRun(run["dag_run_id"], run["run_type"]) for run in runs]

    def note(self, dag_id: str, run_id: str) -> str:
        """What a run found, or why it did nothing; "" while it has no note."""
        return str(self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["note"] or "")

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Task id -> state, of one run."""
        page = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return {task["task_id"]: task["state"] for task in page["task_instances"]}

    def wait(self, dag_id: str, run_id: str, *, timeout: float = 600) -> None:
        """Wait for the good end of a run.

        Raises:
            Refused: it failed; names the failed tasks.
            ServiceUnavailable: it has not ended after `timeout` seconds.
        """
        run = wait_until(
            lambda: self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}"),
            lambda run: run["state"] in ENDED,
            timeout=timeout,
            error=lambda run: ServiceUnavailable(
                f"run {run_id} of {dag_id} is {run['state']} after {timeout:.0f} s"
            ),
        )
        if run["state"] == "failed":
            states = self.tasks(dag_id, run_id)
            failed = ", ".join(sorted(task for task, state in states.items() if state == "failed"))
            raise Refused(f"run {run_id} of {dag_id} failed in {failed}", hint="See its task log")

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """The lines of a task's log, as the page shows them."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        lines = self.call("GET", path, params={"full_content": True})["content"]
        return "\n".join(line["event"] if isinstance(line, dict) else line for line in lines)

    def _sign_in(self) -> str:
        if self._login is None:
            answer = self._http.get("/auth/token")
        else:
            name, password = self._login
            body = {"username": name, "password": password}
            answer = self._http.post("/auth/token", json=body)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise Refused(f"Airflow at {self.address} does not take this user and password")
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """One request of the API, with the JSON of its answer.

        Raises:
            CovlaError: Airflow refuses it.
            ServiceUnavailable: it does not answer.
        """
        try:
            if not self._token:
                self._token = self._sign_in()
            headers = {"Authorization": f"Bearer {self._token}"}
            answer = self._http.request(method, f"/api/v2{path}", headers=headers, **options)
        except httpx.HTTPError as error:
            raise ServiceUnavailable(
                f"Airflow does not answer at {self.address} ({error})",
                hint="Start it with `covla up --airflow`",
            ) from error
        if answer.is_error:
            raise CovlaError(f"Airflow refused {method} {path}: {answer.text[:300]}")
        value: dict[str, Any] = answer.json()
        return value
