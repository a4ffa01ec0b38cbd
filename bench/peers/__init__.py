"""Other servers around the same Predictor, each in the form that its documentation shows first.

They run in an environment of their own (requirements.txt, `make peers`) as
`python -m bench.peers.NAME MODEL PORT`, answer POST /predict with a prediction, or with 422 and the
error, and are measured by `python -m bench.goodput`.
"""

import sys
from pathlib import Path
from typing import Any

from covla.errors import PostError
from covla.inference.predictor import Predictor
from covla.schemas.post import SocialPost
from covla.settings import Settings, get_settings


def model_and_port() -> tuple[str, int]:
    """The arguments of a peer."""
    return sys.argv[1], int(sys.argv[2])


def load(model: str) -> tuple[Predictor, Settings]:
    """The Predictor that `covla serve` has too, warm."""
    settings = get_settings()
    predictor = Predictor.load(Path(model), settings)
    predictor.warm_up()
    return predictor, settings


def parse(value: dict[str, Any], settings: Settings) -> SocialPost:
    """A post of a request. Raises PostError."""
    return SocialPost.from_dict(value).check_limits(settings)


def answer(result: Any) -> tuple[int, dict[str, Any]]:
    """Status and content."""
    if isinstance(result, PostError):
        return 422, {"error": str(result), "field": result.field, "code": result.code}
    return 200, result.model_dump(mode="json")
