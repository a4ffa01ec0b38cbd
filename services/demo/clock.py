"""What Airflow does in the demo by its own clock: every minute it looks for drift, and drift leads
to a retrain. The demo lets the clock go, waits and looks."""

import threading
import time
from datetime import UTC, datetime, timedelta

from covla.errors import ServiceUnavailable
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from covla.waiting import wait_until
from services.stack import airflow
from services.stack.airflow_api import AirflowClient

MINUTE = timedelta(minutes=1)
# One clock alone: the others would train beside the demo when their hour strikes.
CLOCK = {"schedule": "none", "monitor_schedule": "* * * * *", "lateness_minutes": "0.5"}
MONITOR, RETRAIN = "monitor_drift", "retrain_covla"


class Clock:
    """Airflow, which starts in the background; its clock stands still until `go`."""

    def __init__(self, settings: Settings, preset: str) -> None:
        # A demo that runs again in the same state folder would meet the cooldown of the one before.
        self._settings = settings.model_copy(
            update={"retrain_cooldown_hours": 0.0, "retrain_per_week": 1000, "preset": preset}
        )
        self._error: Exception | None = None
        self._client: AirflowClient | None = None
        self._known: set[str] = set()
        self._starting = threading.Thread(target=self._start, daemon=True)
        self._starting.start()

    def _start(self) -> None:
        try:
            client = AirflowClient(airflow.start(self._settings, options=CLOCK).address)
            for dag in (MONITOR, RETRAIN):
                client.wait_for_dag(dag, timeout=180)
            client.pause(MONITOR)
            self._client = client
        except Exception as error:  # noqa: BLE001 - raised again by the step that needs Airflow
            self._error = error

    @property
    def client(self) -> AirflowClient:
        """Airflow's API, once it is up.

        Raises:
            CovlaError: it did not come up.
        """
        self._starting.join()
        if self._error is not None:
            raise self._error
        assert self._client is not None
        return self._client

    def go(self) -> None:
        """From now on a run a minute."""
        self._known = {run.run_id for run in self.client.runs(RETRAIN)}
        self.client.pause(MONITOR, False)

    def retrain(self, *, timeout: float) -> str:
        """Wait for the retrain that the clock's drift check starts, then stop the clock: two cores
        are few for a training and a check a minute.

        Returns:
            The id of its run.

        Raises:
            ServiceUnavailable: none began in `timeout` seconds.
        """
        none = "no run of retrain_covla followed: was no drift found?"
        new = wait_until(
            lambda: [
                run.run_id for run in self.client.runs(RETRAIN) if run.run_id not in self._known
            ],
            timeout=timeout,
            error=lambda _: ServiceUnavailable(none, hint="See the notes of monitor_drift's runs"),
        )
        self.client.pause(MONITOR)
        return new[0]


def this_minute(*, room: float = 45) -> TimeRange:
    """From the begin of this minute to now, for posts that one drift check is to see together.

    Args:
        room: seconds. Later in a minute it waits for the next one, so that what is published then
            is in the lake when the minute's check reads it.
    """
    if not 1 <= datetime.now(UTC).second <= room:
        time.sleep(61 - datetime.now(UTC).second)
    end = now()
    return TimeRange(end.replace(second=0, microsecond=0), end)
