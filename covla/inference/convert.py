"""A model folder's networks, made once where torch is, so that what serves on a CPU needs none."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from covla.errors import CovlaError
from covla.files import folder_aside
from covla.model.networks import F32, carries_networks, f32_networks
from covla.registry import model_folder
from covla.registry.registry import Registry
from covla.settings import Settings


@dataclass(frozen=True)
class Converted:
    """`networks` is the folder of the networks, `folder` the model folder that carries them, with
    its `digest`; both None where the networks are in the cache alone."""

    networks: str
    folder: str | None
    digest: str | None


def convert(ref: str, settings: Settings, out: Path | None = None) -> Converted:
    """Convert a model that was made before folders carried their networks.

    Args:
        ref: the model: an alias, a version, or a folder.
        settings: the registry, and the cache.
        out: a new model folder, the same but for its networks; it is another version to the
            registry, with equal answers. None converts into the cache of this state folder.

    Raises:
        CovlaError: no such model, one that carries its networks already, weights that do not fit,
            or `out` is there; or torch is not installed.
        ServiceUnavailable: the registry does not answer.
    """
    if out is not None and out.exists():
        raise CovlaError(f"{out} is there already", hint="Give another --out")
    _, folder = Registry(settings).resolve(ref)
    if carries_networks(folder):
        raise CovlaError(f"{ref} carries its networks already", hint="It serves as it is")
    networks = f32_networks(folder, settings.cache)
    if out is None:
        return Converted(str(networks), None, None)
    left = shutil.ignore_patterns(model_folder.MANIFEST)
    with folder_aside(out, out.with_name(f"{out.name}.work")) as draft:
        shutil.copytree(folder, draft, ignore=left)
        shutil.rmtree(draft / F32, ignore_errors=True)  # of an earlier form
        shutil.copytree(networks, draft / F32)
        digest = model_folder.write_manifest(draft)
    return Converted(str(out / F32), str(out), digest)
