"""One Kafka record to a prepared post, a label, or a dead letter; bad data never raise."""

import io
from dataclasses import dataclass

from PIL import Image as Pillow

from covla import dead_letters
from covla.blobs import DERIVATIVE_PIXELS, BlobStore
from covla.dead_letters import DeadLetter, Record
from covla.errors import CovlaError, PostError
from covla.kafka import Topics
from covla.labels import Taxonomy
from covla.post import PostLabel, parse_post
from covla.prepare import FORMATS, Prepared, prepare
from covla.settings import Settings


@dataclass(frozen=True)
class Post:
    """A post ready for the encoders; its picture lies in the blob store already."""

    record: Record
    prepared: Prepared
    image_uri: str | None


@dataclass(frozen=True)
class Label:
    """A label of the taxonomy."""

    record: Record
    label: PostLabel


class Reader:
    """Reads records; safe to call from several threads."""

    def __init__(self, settings: Settings, taxonomy: Taxonomy) -> None:
        self.settings = settings
        self.taxonomy = taxonomy
        self.topics = Topics.of(settings)
        self.blobs = BlobStore(settings)

    def read(self, record: Record) -> Post | Label | DeadLetter:
        """What the record is.

        Raises:
            CovlaError, OSError: the blob store failed, which is no fault of the record.
        """
        stage = "parse"
        try:
            if record.topic == self.topics.labels:
                label = PostLabel.from_json(record.value)
                stage = "label"
                self._check(label)
                return Label(record, label)
            post = parse_post(record.value, self.settings)
            stage = "decode"
            prepared = prepare(post, self.settings, self.blobs)
        except PostError as error:
            return dead_letters.make(record, error, stage=stage)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  # one record must not stop its partition for ever
            return dead_letters.make(record, error, stage=stage)
        uri = None
        if prepared.image_bytes is not None:
            # A small picture decodes to the very pixels that its derivative would hold.
            image = None if _small(prepared.image_bytes) else prepared.image
            uri = self.blobs.put(prepared.image_bytes, image)
        return Post(record, prepared, uri)

    def _check(self, label: PostLabel) -> None:
        try:
            self.taxonomy.check(label.label)
        except CovlaError as error:
            raise PostError("label", "unknown_label", str(error)) from None


def _small(content: bytes) -> bool:
    with Pillow.open(io.BytesIO(content), formats=FORMATS) as picture:  # the header alone
        return max(picture.size) <= DERIVATIVE_PIXELS
