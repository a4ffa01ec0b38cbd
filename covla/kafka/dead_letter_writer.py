"""Writes dead letters, whatever they hold: without the value where they are too large for their
topic, and to a file where the topic takes them in no form."""

import logging
from collections.abc import Sequence
from typing import Any

from kafka.errors import (
    InvalidRecordError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from covla.kafka import clients
from covla.kafka.dead_letters import DeadLetter
from covla.kafka.set_aside import set_aside
from covla.settings import Settings

# Errors of a client or a broker about one message; every other error is about the broker.
REFUSED = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    InvalidRecordError,
    InvalidTimestampError,
    AssertionError,
    TypeError,
    ValueError,
)
SEND_SECONDS = 60
CLOSE_SECONDS = 10

log = logging.getLogger(__name__)


def send_dead_letter(producer: Any, topic: str, dead_letter: DeadLetter) -> Any:
    """The future of a dead letter on its way."""
    return producer.send(
        topic, key=dead_letter.message_key, value=dead_letter.value, headers=dead_letter.headers()
    )


class DeadLetterWriter:
    """The dead-letter topic of one worker that writes without transactions."""

    def __init__(self, settings: Settings, group: str) -> None:
        """
        Raises:
            ServiceUnavailable: no broker answers.
        """
        self._settings = settings
        self._group = group
        self._producer = clients.producer(settings)
        self._topic = clients.Topics.of(settings).dead_letters
        self._limit = clients.dead_letter_limit(settings)

    def write(self, dead_letters: Sequence[DeadLetter]) -> int:
        """Write all of them; returns how many had to be set aside in a file.

        Raises:
            KafkaError: the broker did not take them; some may be there already.
            ServiceUnavailable: nor could the file be written.
        """
        aside = 0
        sent = []
        for dead_letter in dead_letters:
            form = dead_letter.within(self._limit)
            if form is None:
                aside += self._set_aside(dead_letter, f"{self._topic} takes {self._limit} bytes")
            else:
                sent.append((form, self._send(form)))
        refused, failed = [], []
        for form, future in sent:
            try:
                if isinstance(future, BaseException):
                    raise future
                future.get(timeout=SEND_SECONDS)  # a failed send raises here (kafka-python#1347)
            except REFUSED as error:
                log.warning("a dead letter was refused: %s", error)
                refused.append(form)
            except KafkaError as error:
                failed.append((form, error))
        if failed and not refused:
            raise failed[0][1]
        # A refused message takes with it what was on its way beside it.
        return aside + sum(self._alone(form) for form in [*refused, *(pair[0] for pair in failed)])

    def close(self) -> None:
        """Leave Kafka."""
        self._producer.close(timeout=CLOSE_SECONDS)

    def _alone(self, dead_letter: DeadLetter) -> int:
        self._renew()
        try:
            send_dead_letter(self._producer, self._topic, dead_letter).get(timeout=SEND_SECONDS)
        except REFUSED as error:
            self._renew()
            return self._set_aside(dead_letter, f"{type(error).__name__}: {error}")
        return 0

    def _renew(self) -> None:
        # An idempotent producer of which one send failed may fail every later one.
        self.close()
        self._producer = clients.producer(self._settings)

    def _set_aside(self, dead_letter: DeadLetter, refusal: str) -> int:
        set_aside(self._settings, self._group, dead_letter, refusal)
        return 1

    def _send(self, dead_letter: DeadLetter) -> Any:
        try:
            return send_dead_letter(self._producer, self._topic, dead_letter)
        except REFUSED as error:
            return error
