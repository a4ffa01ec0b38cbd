"""The last place of a record: a line of a file, where not even its dead letter can be written.

So it is when the dead-letter topic takes no message of that size, for example. The worker goes on;
the line says where the original lies and what was wrong with it.
"""

from pathlib import Path

import orjson
from filelock import lock_descriptor

from covla.errors import ServiceUnavailable
from covla.kafka.dead_letters import DeadLetter
from covla.settings import Settings
from covla.times import now


def path(settings: Settings) -> Path:
    """JSON Lines, one a record. A record that was read again has a line more."""
    return settings.state.absolute() / "set-aside.jsonl"


def set_aside(settings: Settings, group: str, dead_letter: DeadLetter, refusal: str) -> None:
    """Append the record's line; it is on the disk when this returns.

    Args:
        settings: whose state folder.
        group: the consumer group that passed the record.
        dead_letter: what could not be written.
        refusal: why it could not.

    Raises:
        ServiceUnavailable: the disk is full or the folder cannot be written.
    """
    topic, partition, offset = dead_letter.identity
    line = orjson.dumps(
        {
            "at": now(),
            "group": group,
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "stage": dead_letter.stage,
            "error_class": dead_letter.error_class,
            "error_field": dead_letter.error_field.encode("utf-8", "backslashreplace").decode(),
            "reason": dead_letter.error_message.encode("utf-8", "backslashreplace").decode(),
            "refusal": refusal,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )
    file = path(settings)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as out:
            lock_descriptor(out.fileno())
            out.write(line)
    except OSError as error:
        raise ServiceUnavailable(
            f"a record cannot be set aside in {file}: {error}",
            hint="Free some space, or correct COVLA_STATE",
        ) from error
