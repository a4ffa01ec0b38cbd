"""What becomes of a batch of records: a prediction, a dead letter, or a line in a file, each."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka.errors import KafkaError

from covla.errors import CovlaError, PostError, ServiceUnavailable
from covla.kafka.dead_letter_writer import REFUSED, SEND_SECONDS, send
from covla.kafka.dead_letters import DeadLetter, make
from covla.kafka.records import content
from covla.schemas.post import SocialPost, parse_post
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from services.model_provider import Model

log = logging.getLogger(__name__)


def results_of(
    records: Sequence[Any], model: Model, settings: Settings
) -> list[Prediction | DeadLetter]:
    """One prediction or one dead letter per record, in order.

    A record that cannot be read never reaches the model, so it cannot fail its neighbours.

    Raises:
        ServiceUnavailable: the model fails, whatever the posts: nothing may be committed.
        MemoryError: nor here.
    """
    results: list[Prediction | DeadLetter | None] = [None] * len(records)
    posts: dict[int, SocialPost] = {}
    for i, record in enumerate(records):
        try:
            posts[i] = parse_post(content(record), settings)
        except PostError as error:
            results[i] = make(record, error, stage="parse")
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # one record must not stop its partition
            log.warning("a record cannot be parsed: %r", error)
            results[i] = make(record, error, stage="parse")
    for i, answer in zip(posts, _answers(model, list(posts.values())), strict=True):
        if isinstance(answer, Prediction):
            results[i] = answer
        else:
            of_image = answer.field.startswith("image")
            results[i] = make(records[i], answer, stage="decode" if of_image else "predict")
    return [result for result in results if result is not None]


def _answers(model: Model, posts: Sequence[SocialPost]) -> list[Prediction | PostError]:
    try:
        return model.predict(posts) if posts else []
    except (CovlaError, MemoryError):
        raise
    except Exception as error:
        # A post that fails alone is an answer, so this is the backend.
        raise ServiceUnavailable(f"the model fails: {type(error).__name__}: {error}") from error


class DeadLetterRefusedError(KafkaError):  # type: ignore[misc]
    """The broker took one dead letter in no form, which fails the whole transaction."""


@dataclass(frozen=True)
class SetAside:
    """A dead letter that cannot be sent, and why."""

    letter: DeadLetter
    reason: str


@dataclass
class DeadLetters:
    """The dead letters of a worker that writes in transactions.

    A letter that is refused fails its transaction. The batch then comes again, its letters are sent
    one at a time so that the one to blame is known, and the third time that one is set aside.

    Args:
        topic: where they go.
        limit: the largest that the topic takes, in bytes.
    """

    topic: str
    limit: int
    _one_at_a_time: bool = False
    _refused: dict[tuple[str, int, int], str] = field(default_factory=dict)

    def form(self, result: Prediction | DeadLetter) -> Prediction | DeadLetter | SetAside:
        """A letter as it can be sent; a prediction as it is."""
        if isinstance(result, Prediction):
            return result
        if reason := self._refused.get(result.identity):
            return SetAside(result, reason)
        fitting = result.within(self.limit)
        return fitting or SetAside(result, f"{self.topic} takes {self.limit} bytes")

    def send(self, producer: Any, letter: DeadLetter) -> Any:
        """The future of a letter on its way.

        Raises:
            DeadLetterRefusedError: it is refused, and the transaction with it.
        """
        try:
            future = send(producer, self.topic, letter)
            if self._one_at_a_time:
                future.get(timeout=SEND_SECONDS)
        except REFUSED as error:
            self._refused[letter.identity] = f"{type(error).__name__}: {error}"
            raise DeadLetterRefusedError(f"a dead letter is refused: {error}") from error
        return future

    def failed(self, error: BaseException) -> None:
        """A send of the transaction failed with `error`, or because of it."""
        self._one_at_a_time |= any(isinstance(e, REFUSED) for e in (error, *error.args))

    def committed(self) -> None:
        """The batch is done."""
        self._one_at_a_time = False
        self._refused.clear()
