"""One demo: posts, features, a model, predictions; then drift, a retrain, predictions."""

import time
from datetime import timedelta
from pathlib import Path

import httpx

from covla.errors import ServiceUnavailable
from covla.kafka import clients
from covla.registry.registry import Registry
from covla.settings import Settings
from covla.times import now
from covla.waiting import wait_until
from features.lake import Lake
from services import background, publish
from services.demo import stream_posts
from services.demo.clock import Clock, this_minute
from services.demo.outcome import Outcome, accuracy, wait_for_group
from services.demo.steps import Steps
from services.demo.stream_posts import Phase
from services.demo.summary import DemoResult
from services.stack import local, processes

STEPS = 14
WAIT_SECONDS = 300.0  # seconds for anything that should take a minute
JSON = {"content-type": "application/json"}
REST_SAMPLE = 20  # posts that are sent over REST too


class Demo:
    """One run of the demo; `run()` runs it and gives the result."""

    def __init__(
        self, settings: Settings, *, posts: Path | None, preset: str, scale: float
    ) -> None:
        self.settings = settings
        self.preset = preset
        self.steps = Steps(settings, STEPS)
        self.run_id = now().strftime("%Y%m%d%H%M%S")
        times, seed = stream_posts.windows(settings)
        self.phases: dict[str, Phase] = (
            stream_posts.from_folder(times, posts, settings)
            if posts
            else stream_posts.synthetic(times, seed, scale, settings)
        )
        self.published = 0

    def run(self) -> DemoResult:
        """Run it.

        Raises:
            CovlaError: a step did not do its work; the message names it.
        """
        started = time.monotonic()
        steps = self.steps
        with steps.step("Start Kafka, MLflow and Evidently; Airflow comes up meanwhile"):
            local.up(self.settings, local.default_parts(self.settings), log=steps.log)
            clock = Clock(self.settings, self.preset)
            outcome = Outcome(self.settings)
        with steps.step("Publish the labelled history and ingest it into the feature store"):
            self._publish("history")
            self._service("ingest")
            self._ingested()
        with steps.step("Validate the history with Great Expectations"):
            validation = steps.command("validate", "--window", str(self.phases["history"].window))
            steps.log(f"validation: {'passed' if validation['success'] else 'failed'}")
        first = self._first_champion()
        with steps.step("Serve it: REST and the stream worker"):
            self._service("stream")  # gets ready while REST does
            self._service("serve")
        with steps.step("Publish the live stream, three broken messages in it, and predict"):
            self._publish("live")
            self._publish_broken(outcome)
            accuracy_before = self._accuracy("live", outcome, "on the live stream")
        with steps.step("Send the same posts over REST"):
            status, equal = self._compare_rest(outcome)
        with steps.step("Drift, live: every image comes through a new camera filter"):
            clock.go()
            steps.log(f"Airflow looks for drift every minute: {clock.client.address}")
            self._publish_now("drifted")
            began = time.monotonic()
            accuracy_drifted = self._accuracy("drifted", outcome, "after the drift")
            self._ingested()
        modality, champion = self._retrained(clock, first)
        with steps.step("The champion predicts posts whose content it has never seen"):
            self._wait_for_swap(outcome, champion)
            steps.log(f"{time.monotonic() - began:.0f} s from the drift, without a hand on it")
            self._publish_now("after")
            accuracy_after = self._accuracy("after", outcome, "after the retrain")
        with steps.step("Count: everything published is a prediction or a dead letter"):
            ingested = self._count(outcome)
        outcome.close()
        return DemoResult(
            champion_before=first,
            accuracy_before=accuracy_before,
            rest_status=status,
            rest_equals_stream=equal,
            accuracy_drifted=accuracy_drifted,
            drift_modality=modality,
            champion_after=champion,
            accuracy_after=accuracy_after,
            posts_published=self.published,
            posts_ingested=ingested,
            predictions=len(outcome.predictions),
            dead_letters=len(outcome.dead),
            seconds=round(time.monotonic() - started, 1),
        )

    def _publish(self, phase: str) -> None:
        sent = publish.publish(
            self.phases[phase].posts, self.settings, label_delay=timedelta(seconds=1), source="demo"
        )
        self.published += sent.posts_published
        self.steps.log(
            f"{sent.posts_published} posts and {sent.labels_published} labels "
            f"in {sent.seconds:.1f} s"
        )

    def _publish_now(self, phase: str) -> None:
        self.phases[phase] = stream_posts.move(self.phases[phase], this_minute(), self.settings)
        self._publish(phase)

    def _publish_broken(self, outcome: Outcome) -> None:
        topics = clients.Topics.of(self.settings)
        producer = clients.producer(self.settings)
        messages = stream_posts.broken(self.run_id)
        for key, value in messages:
            producer.send(topics.posts, key=key, value=value).get(timeout=30)
        producer.close()
        self.published += len(messages)

        def refused() -> bool:
            outcome.read()
            return len(outcome.dead) >= len(messages)

        wait_until(refused, timeout=WAIT_SECONDS, every=0)  # `_count` says what is missing
        for letter in outcome.dead.values():
            self.steps.log(f"dead letter: {letter.error_message[:90]}")

    def _service(self, subcommand: str) -> None:
        process = background.start(self.settings, subcommand)
        self.steps.log(f"{process.name} runs: process {process.pid} {process.address}")

    def _alive(self, *names: str) -> None:
        for name in names:
            if processes.running(self.settings, name) is None:
                raise ServiceUnavailable(
                    f"the {name} service ended", hint=f"See {self.settings.state}/logs/{name}.log"
                )

    def _ingested(self) -> None:
        topics = clients.Topics.of(self.settings)
        wait_for_group(
            self.settings,
            f"{self.settings.topic_prefix}.ingest",
            (topics.posts, topics.labels),
            timeout=WAIT_SECONDS,
            alive=lambda: self._alive("ingest"),
        )

    def _first_champion(self) -> str:
        window = str(self.phases["history"].window)
        with self.steps.step("Teacher vectors for the history"):
            self.steps.command("teach", "--window", window)
        with self.steps.step("Train CoVLA in two stages"):
            trained = self.steps.command("train", "--window", window, "--preset", self.preset)
        with self.steps.step("Evaluate it and promote it through the gate"):
            command = ["promote", trained["folder"], "--window", window]
            if Registry(self.settings).champion() is not None:
                # A champion of an earlier demo knows posts that this demo has yet to publish.
                command.append("--force")
            promoted = self.steps.command(*command)
            self.steps.log(f"champion: version {promoted['version']}")
        return str(promoted["version"])

    def _accuracy(self, phase: str, outcome: Outcome, when: str) -> float:
        labels = self.phases[phase].labels
        predictions = outcome.wait_for(
            labels, timeout=WAIT_SECONDS, alive=lambda: self._alive("stream")
        )
        value = round(accuracy(predictions, labels), 4)
        self.steps.log(f"accuracy {when} {value:.3f}")
        return value

    def _compare_rest(self, outcome: Outcome) -> tuple[int, bool]:
        """The last status, and whether every response is the prediction of the stream."""
        address = local.pages(self.settings)["rest"]
        sample = self.phases["live"].posts[:REST_SAMPLE]
        equal = status = 0
        with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
            for item in sample:
                answer = client.post("/predict", content=item.post.to_json(), headers=JSON)
                status = answer.status_code
                streamed = outcome.predictions[item.post.post_id].model_dump(mode="json")
                rest = answer.json()
                equal += all(
                    rest.get(key) == value
                    for key, value in streamed.items()
                    if key not in {"predicted_at", "latency_ms"}
                )
        self.steps.log(f"{equal} of {len(sample)} answers are those of the stream")
        return status, equal == len(sample)

    def _retrained(self, clock: Clock, before: str) -> tuple[str | None, str]:
        """The modality that drifted, and the champion after the retrain."""
        with self.steps.step("Airflow's clock finds the drift and opens an alert"):
            # The minute, the lateness, then two commands beside all that runs: slow on slow cores.
            run_id = clock.retrain(timeout=2 * WAIT_SECONDS)
            alerts = self.steps.command("alerts", "--last", "0")["alerts"]
            drifted = [alert["subject"] for alert in alerts if alert["kind"] == "drift"]
            self.steps.log(f"open alert: drift of modality {', '.join(drifted)}")
        with self.steps.step("The drift starts the retrain: teach, train, gate, promote"):
            self.steps.log(f"DAG run retrain_covla {run_id}")
            clock.client.wait("retrain_covla", run_id, timeout=2 * WAIT_SECONDS)
            for line in clock.client.note("retrain_covla", run_id).splitlines():
                self.steps.log(f"note of the run: {line}")
            version = Registry(self.settings).resolve("champion")[0]
            self.steps.log(f"champion: version {version}")
            if version == before:
                reports = self.settings.reports / "gate"
                self.steps.log(f"the gate refused the retrained version; why: {reports}")
        return drifted[-1] if drifted else None, version

    def _wait_for_swap(self, outcome: Outcome, version: str) -> None:
        """Wait until REST and the stream worker serve `version`: each checks by its own clock."""
        address = local.pages(self.settings)["rest"]
        probe = self.phases["live"].posts[0]
        body = probe.post.to_json()
        with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
            wait_until(
                lambda: client.post("/predict", content=body, headers=JSON).json(),
                lambda answer: answer.get("model_version") == version,
                timeout=WAIT_SECONDS,
                error=lambda _: ServiceUnavailable(f"REST does not serve version {version}"),
            )

        outcome.wait_for_version(
            version, probe, timeout=WAIT_SECONDS, alive=lambda: self._alive("stream")
        )

    def _count(self, outcome: Outcome) -> int:
        """How many of the posts are in the lake."""
        expected = {item.post.post_id for phase in self.phases.values() for item in phase.posts}
        outcome.wait_for(expected, timeout=WAIT_SECONDS, alive=lambda: self._alive("stream"))
        self._ingested()
        rows = {
            post_id
            for phase in self.phases.values()
            for post_id in Lake(self.settings)
            .read("posts", phase.window, ["post_id"])[0]
            .to_pylist()
        }
        lost = self.published - len(outcome.predictions) - len(outcome.dead)
        self.steps.log(
            f"{self.published} published = {len(outcome.predictions)} predictions "
            f"+ {len(outcome.dead)} dead letters + {lost} lost"
        )
        return len(rows)
