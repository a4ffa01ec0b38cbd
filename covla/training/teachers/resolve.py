"""What a teacher's name means, found out before any long work and without loading a weight."""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import orjson
from safetensors import SafetensorError, safe_open

from covla.errors import CovlaError, ServiceUnavailable
from covla.registry import model_folder
from covla.settings import Settings, get_settings
from covla.training.teachers.prompt import reading_id

Kind = Literal["none", "ensemble", "self", "dual_encoder", "vision_language"]
DUAL_ENCODERS = ("clip", "siglip", "siglip2")
NAMES = "ensemble, self, none, a model folder, or a hub id such as Qwen/Qwen3-VL-2B-Instruct"
SUPPORTED = (
    f"Supported are covla, {', '.join(DUAL_ENCODERS)}, and decoder-only image-text-to-text models "
    "such as qwen3_vl, qwen2_5_vl, smolvlm, idefics3, internvl, gemma3, lfm2_vl"
)
_PROCESSOR = ("processor_config.json", "preprocessor_config.json")
_TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model")
_HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+(@[\w./-]+)?")


@dataclass(frozen=True)
class Teacher:
    """A teacher that can be loaded.

    name: as it was asked for. source: a folder or a hub id, and revision: the digest of the
    folder's files, or the hub's commit. width: of its vectors; 0 for the ensemble, which has one
    number per label.
    """

    kind: Kind
    name: str
    source: str = ""
    revision: str = ""
    width: int = 0

    @property
    def id(self) -> str:
        """Identity of its vectors: what it is, its weights, and how it reads a post. A folder that
        was moved is the same teacher."""
        if self.kind in {"none", "ensemble"}:
            return self.name
        what = self.revision if Path(self.source).is_dir() else f"{self.source}@{self.revision}"
        total = hashlib.sha256(repr([self.kind, what, reading_id()]).encode()).hexdigest()[:16]
        return f"{'self' if self.kind == 'self' else Path(self.source).name}-{total}"


NO_TEACHER = Teacher("none", "none")
ENSEMBLE = Teacher("ensemble", "ensemble")


def resolve(name: str, settings: Settings | None = None) -> Teacher:
    """The teacher of that name.

    Args:
        name: ensemble; none; self (the champion); a folder of a CoVLA model, a dual encoder or an
            image-text-to-text model; or a hub id, with @REVISION where not the newest is meant.
        settings: where the registry is; default: the process's.

    Raises:
        CovlaError: no such teacher, no weights, a damaged file, or an unsupported model type.
        ServiceUnavailable: the registry or the hub does not answer.
    """
    for teacher in (NO_TEACHER, ENSEMBLE):
        if name == teacher.name:
            return teacher
    if name == "self":
        from covla.registry.registry import Registry

        _, folder = Registry(settings or get_settings()).resolve("champion")
        return _student(folder, name)
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return _folder(folder, name)
    if folder.is_file():
        raise CovlaError(f"teacher: {name} is a file", hint="Give the folder that it is in")
    if not _HUB_ID.fullmatch(name):
        what = f"there is no folder {name}" if "/" in name else f"{name!r} is not one"
        raise CovlaError(f"teacher: {what}", hint=f"Give {NAMES}")
    return _hub(name)


def _folder(folder: Path, name: str) -> Teacher:
    try:
        about = orjson.loads((folder / "config.json").read_bytes())
        model_type = str(about["model_type"])
    except FileNotFoundError:
        raise CovlaError(
            f"teacher: {folder} has no config.json",
            hint="Give a folder that save_pretrained wrote",
        ) from None
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise CovlaError(f"teacher: {folder / 'config.json'} says no model_type: {error}") from None
    kind = _kind(model_type, name)
    _check_weights(folder)
    if kind == "self":
        return _student(folder, name)
    for files in (_PROCESSOR, _TOKENIZER):
        if not any((folder / file).exists() for file in files):
            raise CovlaError(
                f"teacher: {folder} has none of {', '.join(files)}",
                hint="Save the processor beside the weights: processor.save_pretrained(folder)",
            )
    config = _config(str(folder), local_files_only=True)
    return Teacher(kind, name, str(folder.absolute()), _digest(folder), _width(config, kind, name))


@lru_cache(maxsize=16)  # one process asks the hub once, and stays with that revision
def _hub(name: str) -> Teacher:
    source, _, revision = name.partition("@")
    config = _config(source, revision=revision or "main")
    kind = _kind(config.model_type, name)
    if kind == "self":
        raise CovlaError(f"teacher: {name} is a CoVLA model", hint="Fetch it and give its folder")
    commit = getattr(config, "_commit_hash", None) or revision or "main"
    return Teacher(kind, name, source, commit, _width(config, kind, name))


def _student(folder: Path, name: str) -> Teacher:
    from covla.model.baselines import make_fusion
    from covla.model.folder_weights import load_covla_config

    revision = model_folder.verify(folder)
    config = load_covla_config(folder)
    width = len(config.labels) + int(make_fusion(config).width)
    return Teacher("self", name, str(folder.absolute()), revision, width)


def _kind(model_type: str, name: str) -> Kind:
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    if model_type == "covla":
        return "self"
    if model_type in DUAL_ENCODERS:
        return "dual_encoder"
    if model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return "vision_language"
    raise CovlaError(
        f"teacher: model type {model_type!r} of {name} is not supported", hint=SUPPORTED
    )


def _config(source: str, **where: Any) -> Any:
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    from covla.training.progress import quiet

    quiet()
    wrong = (OSError, ValueError, KeyError, TypeError, AttributeError, StrictDataclassError)
    try:
        return AutoConfig.from_pretrained(source, **where)
    except wrong as error:
        if "couldn't connect to" in str(error):
            raise ServiceUnavailable(
                f"teacher: the hub does not answer, and {source} was not fetched before",
                hint="Fetch it on another machine with save_pretrained, and give the folder",
            ) from error
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise CovlaError(
            f"teacher: the configuration of {source} cannot be read: {reason}",
            hint=f"Give {NAMES}",
        ) from error


def _width(config: Any, kind: Kind, name: str) -> int:
    """Of the vectors, read from the configuration."""
    if kind == "dual_encoder":
        if config.model_type == "clip":
            return 2 * int(config.projection_dim)
        return int(config.text_config.projection_size + config.vision_config.hidden_size)
    text = config.get_text_config()
    if getattr(config, "is_encoder_decoder", False) or not hasattr(text, "hidden_size"):
        raise CovlaError(
            f"teacher: {name} ({config.model_type}) is no decoder-only model", hint=SUPPORTED
        )
    return int(text.hidden_size)


def _check_weights(folder: Path) -> None:
    """The weights are there, all shards of them, and their headers can be read."""
    index = folder / "model.safetensors.index.json"
    try:
        names = sorted(set(orjson.loads(index.read_bytes())["weight_map"].values()))
    except FileNotFoundError:
        names = ["model.safetensors"]
    except (OSError, orjson.JSONDecodeError, KeyError, AttributeError, TypeError) as error:
        raise CovlaError(f"teacher: {index} is damaged: {error}") from None
    for name in names:
        try:
            with safe_open(folder / name, framework="pt"):
                pass
        except FileNotFoundError:
            raise CovlaError(
                f"teacher: {folder} has no weights: {name} is not there",
                hint="Weights are read from safetensors files only, never from pickles",
            ) from None
        except (OSError, SafetensorError) as error:
            raise CovlaError(
                f"teacher: {folder / name} is damaged: {error}", hint="Fetch or save it again"
            ) from None


def _digest(folder: Path) -> str:
    """SHA-256 (hex) over the names and contents of the folder's files."""
    kept = (".json", ".safetensors", ".jinja", ".txt", ".model")
    files = sorted(path for path in folder.iterdir() if path.suffix in kept)
    total = hashlib.sha256()
    for path in files:
        stat = path.stat()
        total.update(
            f"{path.name}\0{_file_digest(path, stat.st_size, stat.st_mtime_ns)}\n".encode()
        )
    return total.hexdigest()


@lru_cache(maxsize=256)
def _file_digest(path: Path, size: int, changed: int) -> str:
    del size, changed  # of the key: a file that changed is read again
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
