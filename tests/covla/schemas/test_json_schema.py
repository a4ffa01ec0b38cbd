"""docs/contracts/ is what the code accepts, and it does not change unnoticed."""

import json
from pathlib import Path

import jsonschema
import pytest

from covla.posts.synthetic import generate
from covla.schemas.json_schema import schemas, write
from covla.times import now

COMMITTED = Path(__file__).parents[3] / "docs" / "contracts"


def test_the_committed_schemas_are_those_of_the_code(tmp_path: Path) -> None:
    written = {path.name: path.read_bytes() for path in write(tmp_path)}
    there = {path.name: path.read_bytes() for path in COMMITTED.glob("*.json")}
    assert written == there, "run `covla contracts` and look at what changed for producers"


def test_a_version_1_producer_stays_valid() -> None:
    """Required fields and types of version 1, by hand: a new required field would break them."""
    oldest = {"post_id": "a", "created_at": "2026-05-01T12:00:00Z", "text": "hi"}
    jsonschema.validate(oldest, schemas()["social_post"])
    jsonschema.validate(
        {"post_id": "a", "label": "home", "labelled_at": "2026-05-01T12:00:00Z"},
        schemas()["post_label"],
    )


def test_generated_posts_fit_the_schema() -> None:
    start = now()
    for item, _ in generate(5, seed=1, start=start, end=start.replace(year=start.year + 1)):
        jsonschema.validate(json.loads(item.post.to_json()), schemas()["social_post"])


@pytest.mark.parametrize("name", sorted(schemas()))
def test_every_schema_is_itself_valid(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schemas()[name])
