"""One Kafka record to a prepared post, a label, a prediction, or a dead letter; bad data never
raise."""

import logging
from dataclasses import dataclass

from covla.errors import CovlaError, PostError, ServiceUnavailable
from covla.kafka import dead_letters
from covla.kafka.clients import Topics
from covla.kafka.dead_letters import DeadLetter, Record
from covla.posts.image_store import DERIVATIVE_PIXELS, BlobStore
from covla.posts.preprocessing import PreparedPost, prepare
from covla.posts.taxonomy import Taxonomy
from covla.schemas.label import PostLabel, parse_label
from covla.schemas.post import SocialPost, parse_post
from covla.schemas.prediction import Prediction, parse_prediction
from covla.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Post:
    """A post ready for the encoders; its image lies in the blob store already."""

    record: Record
    prepared: PreparedPost
    image_uri: str | None


@dataclass(frozen=True)
class Label:
    """A label of the taxonomy."""

    record: Record
    label: PostLabel


@dataclass(frozen=True)
class Predicted:
    """A prediction that a stream worker made."""

    record: Record
    prediction: Prediction


Item = Post | Label | Predicted


class Reader:
    """Reads records; safe to call from several threads."""

    def __init__(self, settings: Settings, taxonomy: Taxonomy) -> None:
        self.settings = settings
        self.taxonomy = taxonomy
        self.topics = Topics.of(settings)
        self.blobs = BlobStore(settings)

    def read(self, record: Record) -> Item | DeadLetter:
        """What the record is.

        Raises:
            ServiceUnavailable: the blob store failed, which is no fault of the record.
            MemoryError: nor is this.
        """
        stage = "label" if record.topic == self.topics.labels else "decode"
        try:
            if record.topic == self.topics.predictions:
                made = dead_letters.parse_record(record, parse_prediction, self.settings)
                return made if isinstance(made, DeadLetter) else Predicted(record, made)
            if stage == "label":
                label = dead_letters.parse_record(record, parse_label, self.settings)
                return label if isinstance(label, DeadLetter) else self._label(record, label)
            post = dead_letters.parse_record(record, parse_post, self.settings)
            return post if isinstance(post, DeadLetter) else self._post(record, post)
        except PostError as error:
            return dead_letters.make(record, error, stage=stage)
        except (CovlaError, MemoryError):
            raise
        except OSError as error:
            raise ServiceUnavailable(f"the blob store does not answer: {error}") from error
        except Exception as error:  # noqa: BLE001  # one record must not stop its partition
            log.warning("a record cannot be read: %r", error)
            return dead_letters.make(record, error, stage=stage)

    def _post(self, record: Record, post: SocialPost) -> Post:
        prepared = prepare(post, self.settings, self.blobs)
        uri = None
        if prepared.image_bytes is not None and prepared.image is not None:
            # A smaller one decodes to the very pixels that its derivative would hold.
            small = max(prepared.image.shape[:2]) < DERIVATIVE_PIXELS
            uri = self.blobs.put(prepared.image_bytes, None if small else prepared.image)
        return Post(record, prepared, uri)

    def _label(self, record: Record, label: PostLabel) -> Label:
        try:
            self.taxonomy.check(label.label)
        except CovlaError as error:
            raise PostError("label", "unknown_label", str(error)) from None
        return Label(record, label)
