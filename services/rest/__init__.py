"""REST on BentoML. `services.rest:Covla` is the service, loaded when it is first named: its parts
are imported without BentoML, whose import takes a second."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.rest.service import Covla

__all__ = ["Covla"]


def __getattr__(name: str) -> Any:
    if name != "Covla":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from services.rest.service import Covla

    return Covla
