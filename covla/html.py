"""Pages for people, from templates beside the modules that write them. Every value is escaped, and
one that is missing is an error, not a gap."""

import base64
import hashlib
from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render(package: str, template: str, **values: Any) -> str:
    """A template of a package, filled. It may extend `page.html.j2` of this one.

    Raises:
        jinja2.TemplateError: there is no such template, or it asks for a value that is not given.
    """
    return _environment(package).get_template(template).render(**values)


def csp_source(block: str) -> Markup:
    """The source expression that lets a page run an inline script or style, and no other."""
    digest = hashlib.sha256(block.encode()).digest()
    return Markup("'sha256-{}'").format(base64.b64encode(digest).decode())


@cache
def _environment(package: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name, ".") for name in (package, "covla")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["csp_source"] = csp_source
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    return environment
