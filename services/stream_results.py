"""What becomes of a batch of records: a prediction, a dead letter, or a line in a file, each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka.errors import KafkaError

from covla.errors import CovlaError, PostError, ServiceUnavailable
from covla.kafka.dead_letter_writer import REFUSED, SEND_SECONDS, send_dead_letter
from covla.kafka.dead_letters import DeadLetter, make, parse_record
from covla.schemas.post import SocialPost, parse_post
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from services.model import Model


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
        parsed = parse_record(record, parse_post, settings)
        if isinstance(parsed, DeadLetter):
            results[i] = parsed
        else:
            posts[i] = parsed
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

    dead_letter: DeadLetter
    reason: str


@dataclass
class DeadLetters:
    """The dead letters of a worker that writes in transactions.

    One that is refused fails its transaction. The batch then comes again, its dead letters are sent
    one at a time so that the refused one is known, and the third time that one is set aside.

    Args:
        topic: where they go.
        limit: the largest that the topic takes, in bytes.
    """

    topic: str
    limit: int
    _one_at_a_time: bool = False
    _refused: dict[tuple[str, int, int], str] = field(default_factory=dict)

    def form(self, result: Prediction | DeadLetter) -> Prediction | DeadLetter | SetAside:
        """A dead letter as it can be sent; a prediction as it is."""
        if isinstance(result, Prediction):
            return result
        if reason := self._refused.get(result.identity):
            return SetAside(result, reason)
        fitting = result.within(self.limit)
        return fitting or SetAside(result, f"{self.topic} takes {self.limit} bytes")

    def send(self, producer: Any, dead_letter: DeadLetter) -> Any:
        """The future of a dead letter on its way.

        Raises:
            DeadLetterRefusedError: it is refused, and the transaction with it.
        """
        try:
            future = send_dead_letter(producer, self.topic, dead_letter)
            if self._one_at_a_time:
                future.get(timeout=SEND_SECONDS)
        except REFUSED as error:
            self._refused[dead_letter.identity] = f"{type(error).__name__}: {error}"
            raise DeadLetterRefusedError(f"a dead letter is refused: {error}") from error
        return future

    def failed(self, error: BaseException) -> None:
        """A send of the transaction failed with `error`, or because of it."""
        self._one_at_a_time |= any(isinstance(e, REFUSED) for e in (error, *error.args))

    def committed(self) -> None:
        """The batch is done."""
        self._one_at_a_time = False
        self._refused.clear()
