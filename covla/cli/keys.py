"""Commands for the API keys of the REST service."""

import click

from covla.cli.options import json_option
from covla.cli.output import log, print_result


@click.group()
def keys() -> None:
    """Make, list and revoke API keys of the REST service.

    `covla serve` asks for one where it listens on another address than loopback (COVLA_API_KEYS).
    A running server takes up a change at its next request.
    """


@keys.command("add")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(["predict", "explain", "feedback"]),
    multiple=True,
    required=True,
    help="What it may ask for; give it again for more.",
)
@click.option(
    "--per-minute",
    type=click.IntRange(min=1),
    help="Requests a minute; a batch is one. Default: any number.",
)
@json_option
def keys_add(name: str, scopes: tuple[str, ...], per_minute: int | None, as_json: bool) -> None:
    """Make a key and print it, this once: only its hash is kept.

    Send it as `Authorization: Bearer KEY`.
    """
    from covla.api_keys import SCOPES, add_key
    from covla.settings import get_settings

    chosen = [scope for scope in SCOPES if scope in scopes]
    made, key = add_key(get_settings(), name, chosen, per_minute)
    if not as_json:
        log("keep it now: it is not shown again")
    print_result(
        {"id": made.id, "name": name, "scopes": chosen, "per_minute": per_minute, "key": key},
        as_json=as_json,
    )


@keys.command("list")
@json_option
def keys_list(as_json: bool) -> None:
    """List every key, revoked ones too, without the secrets."""
    from covla.api_keys import load_keys
    from covla.settings import get_settings

    rows = {
        key.id: {
            "name": key.name,
            "scopes": list(key.scopes) if as_json else ",".join(key.scopes),
            "per_minute": key.per_minute,
            "created_at": key.created_at.isoformat(timespec="seconds"),
            "revoked_at": key.revoked_at and key.revoked_at.isoformat(timespec="seconds"),
        }
        for key in load_keys(get_settings())
    }
    if as_json or rows:
        print_result({"keys": rows}, as_json=as_json)
    else:
        log("no key yet: `covla keys add NAME --scope predict` makes one")


@keys.command("revoke")
@click.argument("key", metavar="NAME|ID")
@json_option
def keys_revoke(key: str, as_json: bool) -> None:
    """End a key: from now on it is answered with 401."""
    from covla.api_keys import revoke_key
    from covla.settings import get_settings

    revoked = revoke_key(get_settings(), key)
    print_result({"revoked": revoked.id, "name": revoked.name}, as_json=as_json)
