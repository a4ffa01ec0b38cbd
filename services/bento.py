"""`covla bento`: a Bento of exactly one model version, which serves without a registry or checkout.

It holds the code as it is installed here, the model folder with its manifest, and requirements
pinned to what is installed here. On what a Bento is: docs.bentoml.com, "Bento build options".
"""

import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import bentoml
from bentoml._internal.bento import BentoStore
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from covla.errors import CovlaError
from covla.files import folder_aside
from covla.inference.convert import convert
from covla.model.networks import carries_networks
from covla.model.runtime.backend import Backend
from covla.registry.model_folder import digest, folder_size
from covla.registry.registry import Registry
from covla.settings import Settings
from services.bento_model import FOLDER

PACKAGES = ("covla", "features", "monitoring", "services")
SERVICE = "services.rest:Covla"
# Not covla: `bentoml serve covla:7` would import the package covla that is installed, before it
# looks for a Bento of that tag, and the Bento's own code would not be used.
NAME = "covla-rest"


@dataclass(frozen=True)
class Built:
    """A Bento that was made."""

    tag: str
    path: str
    model_version: str
    model_digest: str
    bytes: int


def build(settings: Settings, ref: str, *, tag: str | None, out: Path | None) -> Built:
    """Make a Bento of the model that `ref` names.

    Args:
        ref: champion, challenger, previous, a version number, or a model folder.
        tag: NAME:VERSION of the Bento, or its version alone; default: covla-rest:MODEL_VERSION.
        out: a folder that is not there yet, for the Bento; default: BentoML's own store.

    Raises:
        CovlaError: there is no such model, its files do not match their manifest, a package of
            `covla[serve]` is missing, the tag cannot be used, or there is such a Bento or folder
            already.
        ServiceUnavailable: the registry does not answer.
    """
    model_version, folder = Registry(settings).resolve(ref)
    if out is not None and out.exists():
        raise CovlaError(f"{out} is there already", hint="Give another --out")
    name, _, version = (tag or model_version).rpartition(":")
    if find_spec(name or NAME) is not None:
        raise CovlaError(
            f"--tag: {name} is a Python package, which `bentoml serve {tag}` would take instead",
            hint=f"Give another name, such as {NAME}:{version}",
        )
    # A Bento installs no torch, but where the version names it as its backend.
    on_torch = Backend.of(folder, "cpu").name == "torch"
    packages = requirements("serve", *(["networks"] if on_torch else []))
    with tempfile.TemporaryDirectory(prefix="covla-bento-") as scratch:
        context = Path(scratch) / "context"
        copy_code(context)
        if on_torch or carries_networks(folder):
            shutil.copytree(folder, context / FOLDER)
        else:
            convert(str(folder), settings, context / FOLDER)
        model_digest = digest(context / FOLDER)
        # A label has 63 characters at most, a SHA-256 64.
        labels = {"model_version": model_version, "model_digest": model_digest[:63]}
        options: dict[str, Any] = {
            "name": name or NAME,
            "version": version,
            "labels": labels,
            "description": f"CoVLA, model version {model_version}",
            "python": {"packages": packages, "lock_packages": False},
            "docker": {"python_version": f"{sys.version_info.major}.{sys.version_info.minor}"},
            "build_ctx": str(context),
        }
        try:
            if out is None:
                bento = bentoml.build(SERVICE, **options)
                path = Path(bento.path)
            else:
                store = Path(scratch) / "store"
                store.mkdir()
                bento = bentoml.build(SERVICE, **options, _bento_store=BentoStore(store))
                with folder_aside(out) as draft:
                    shutil.copytree(bento.path, draft, dirs_exist_ok=True)
                path = out
        except bentoml.exceptions.BentoMLException as error:
            raise CovlaError(f"BentoML made no Bento: {error}") from error
    return Built(str(bento.tag), str(path), model_version, model_digest, folder_size(path))


def copy_code(context: Path) -> None:
    """Copy our packages from where they are installed into `context`."""
    for package in PACKAGES:
        spec = find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations
        source = spec.submodule_search_locations[0]
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, context / package, ignore=ignored)


def requirements(*extras: str) -> list[str]:
    """What `covla[extras]` needs, all of it, as `name==version` of what is installed here.

    BentoML is not among them: it adds itself to every Bento. A local part of a version, such as
    that of a torch for one CUDA, is left out, as no index but its own has it.

    Raises:
        CovlaError: a package is missing here; it is named.
    """
    found: dict[str, str] = {}
    todo = [("covla", frozenset(extras))]
    seen = set()
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            raise CovlaError(
                f"{name} is not installed, and a Bento has to have it",
                hint=f"pip install 'covla[{','.join(extras)}]'",
            ) from None
        found[name] = f"{name}=={Version(installed.version).public}"
        for text in installed.requires or ():
            needed = Requirement(text)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in ("", *wanted)):
                todo.append((canonicalize_name(needed.name), frozenset(needed.extras)))
    return [found[name] for name in sorted(found.keys() - {"covla", "bentoml"})]
