"""`covla canary` and `covla shadow`: versions beside the champion."""

from typing import TYPE_CHECKING

import click

from covla.cli.options import json_option
from covla.cli.output import print_result

if TYPE_CHECKING:
    from covla.registry.rollout import Role


def _end(role: "Role", as_json: bool) -> None:
    from covla.registry.rollout import Rollouts
    from covla.settings import get_settings

    print_result({role: None, "was": Rollouts(get_settings()).end(role)}, as_json=as_json)


def _require_one(version: str | None, off: bool) -> None:
    if (version is None) != off:
        raise click.UsageError("give a VERSION, or --off")


@click.command()
@click.argument("version", required=False)
@click.option("--weight", type=float, help="Share of the posts, 0 to 1.")
@click.option("--off", is_flag=True, help="Take it off: the champion answers all posts.")
@click.option("--force", is_flag=True, help="Although the gate has not passed it; it is recorded.")
@json_option
def canary(
    version: str | None, weight: float | None, off: bool, force: bool, as_json: bool
) -> None:
    """Let VERSION answer a share of the posts, at REST and on the stream, beside the champion.

    The same posts go to it as long as the weight stays; a larger weight only adds some. The guard
    takes it off where it is worse; `covla promote VERSION` makes it the champion. Ends with 4 where
    it has not passed the gate against the champion: `covla promote FOLDER --posts DIR --canary 0.1`
    takes it through, or --force lets it in.
    """
    from covla.registry.rollout import Rollouts
    from covla.settings import get_settings

    _require_one(version, off)
    if version is None:
        _end("canary", as_json)
        return
    if weight is None:
        raise click.UsageError("give a --weight, 0 to 1")
    started = Rollouts(get_settings()).start_canary(version, weight, force=force)
    print_result({"canary": started, "weight": weight, "forced": force}, as_json=as_json)


@click.command()
@click.argument("version", required=False)
@click.option("--off", is_flag=True, help="Take it off.")
@json_option
def shadow(version: str | None, off: bool, as_json: bool) -> None:
    """Have VERSION answer the champion's posts too, for comparison alone.

    Stream workers write its predictions to the topic PREFIX.predictions.shadow, and count how far
    they are from the champion's. It may work for COVLA_SHADOW_CPU_SHARE of the time; posts beyond
    that are left out and counted.
    """
    from covla.registry.rollout import Rollouts
    from covla.settings import get_settings

    _require_one(version, off)
    if version is None:
        _end("shadow", as_json)
        return
    print_result({"shadow": Rollouts(get_settings()).start_shadow(version)}, as_json=as_json)
