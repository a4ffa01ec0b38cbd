"""A model made ready for another backend or precision: a new candidate with its own report of
parity, which serves only after the gate as any other."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from covla.errors import CovlaError, PostError
from covla.files import folder_aside, read_dataclass, read_object
from covla.inference.parity import Parity, compare, text
from covla.inference.predictor import Predictor
from covla.model.answer import Answer
from covla.model.encoders import Encoders
from covla.model.folder_weights import folder_model, folder_towers
from covla.model.head import HeadRunner, folder_encoders
from covla.model.head_inputs import head_example
from covla.model.model_config import load_config
from covla.model.networks import F32, carries_networks, f32_networks
from covla.model.runtime.backend import FILE, NETWORKS, Backend
from covla.model.runtime.network import Arrays
from covla.posts.dataset import sample
from covla.posts.training_post import TrainingPost
from covla.registry import model_folder
from covla.registry.registry import Registry
from covla.settings import Settings

CALIBRATION = 300
COMPARED = 1000


@dataclass(frozen=True)
class Posts:
    """What an export needs: posts to calibrate on, others to compare answers on, and where both
    are from (for training.json)."""

    calibration: Sequence[TrainingPost]
    judged: Sequence[TrainingPost]
    source: Mapping[str, str]


@dataclass(frozen=True)
class Export:
    """An exported folder: `about` is what its runtime file says, `report` parity as text."""

    folder: str
    digest: str
    about: dict[str, Any]
    parity: Parity
    report: str
    reused: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as `covla export` prints it."""
        return {
            "folder": self.folder, "digest": self.digest, **self.about,
            "parity": self.parity.as_dict(), "report": self.report, "reused": self.reused,
        }  # fmt: skip


def export_posts(
    calibration: Sequence[TrainingPost], judged: Sequence[TrainingPost], source: Mapping[str, str]
) -> Posts:
    """At most CALIBRATION posts to calibrate on, COMPARED to compare on: labelled ones if any."""
    labelled = [row for row in judged if row.label is not None]
    return Posts(sample(calibration, CALIBRATION), sample(labelled or judged, COMPARED), source)


def export(
    ref: str,
    backend: Backend,
    posts: Posts,
    settings: Settings,
    *,
    out: Path | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Export:
    """Write a model folder that runs on `backend`, and compare its answers with the original's.

    Args:
        ref: the model: an alias, a version, or a folder; one that was trained, not exported.
        backend: of the new folder.
        posts: see `export_posts`.
        settings: the registry, and where models and caches are.
        out: default: STATE/models/VERSION-ENGINE-PRECISION. The same export again is reused.
        progress: called with how many more posts were compared.

    Raises:
        CovlaError: no such model, an exported one, a precision that this machine does not have,
            or `out` holds something else.
    """
    version, folder = Registry(settings).resolve(ref)
    if (folder / FILE).exists():
        about = read_object(folder / FILE)
        raise CovlaError(
            f"{ref} is exported already ({about.get('engine')} {about.get('precision')})",
            hint=f"Export the model that it was made from: {str(about.get('from'))[:12]}",
        )
    _check_here(backend)
    about = _about(folder, backend, posts)
    out = out or settings.models / f"{version}-{backend.name}-{backend.precision}"
    if out.exists():
        return _existing(out, about)
    original = Predictor(
        version,
        HeadRunner.load(folder, cache=settings.cache, device="cpu", backend=Backend()),
        folder_encoders(folder, settings, Backend()),
        settings,
    )
    left = shutil.ignore_patterns(model_folder.MANIFEST, "metrics.json")
    with folder_aside(out, out.with_name(f"{out.name}.work")) as draft:
        shutil.copytree(folder, draft, ignore=left)
        if not carries_networks(draft):
            # The very networks that `original` runs: what serves this folder needs no torch.
            shutil.rmtree(draft / F32, ignore_errors=True)
            shutil.copytree(f32_networks(folder, settings.cache), draft / F32)
        if backend.in_folder:
            write_reduced(draft, backend, original, posts.calibration)
        _dump(draft / FILE, about)
        exported = Predictor(
            "exported",
            HeadRunner.load(draft, cache=settings.cache, device=settings.device, backend=backend),
            folder_encoders(draft, settings, backend),
            settings,
        )
        exported.warm_up()
        original.warm_up()
        compared = compare(exported, original, posts.judged, progress=progress, source=posts.source)
        _describe(draft, about, compared)
        digest = model_folder.write_manifest(draft)
    return Export(str(out), digest, about, compared, str(out / "parity.txt"), reused=False)


def write_reduced(
    draft: Path, backend: Backend, original: Predictor, calibration: Sequence[TrainingPost]
) -> None:
    """The networks of another backend or precision than f32 on OpenVINO, into a model's folder.

    Raises:
        CovlaError: no calibration post can be used.
    """
    from covla.model.runtime import conversion, openvino, quantize

    towers = folder_towers(draft).eval()
    encoders = original.encoders
    items: dict[str, list[Arrays]] = {"text": [], "image": []}
    if backend.precision == "int8":
        items = _calibration(original, calibration)
    for part, module in (("text", towers.text), ("image", towers.image)):
        transformer = module.spec["family"] != "timm"
        example, ragged = encoders.example(part), (0, 1) if part == "text" else ()
        path = draft / NETWORKS / part
        if backend.name == "onnx":
            conversion.write_onnx(module, example, ragged, path.with_suffix(".onnx"))
            if backend.precision == "int8":
                quantize.onnx_int8(path.with_suffix(".onnx"), items[part], transformer=transformer)
        else:
            network = conversion.convert(module, example, ragged)
            network = quantize.openvino_int8(network, items[part], transformer=transformer)
            openvino.save(network, path.with_suffix(".xml"))
    if backend.name == "onnx":
        head, example = Answer(folder_model(draft)).eval(), head_example(load_config(draft))
        conversion.write_onnx(head, example, (0, 1), draft / NETWORKS / "head.onnx")


def _calibration(original: Predictor, posts: Sequence[TrainingPost]) -> dict[str, list[Arrays]]:
    encoders: Encoders = original.encoders
    ready = [original.prepare(row.post) for row in posts]
    good = [item for item in ready if not isinstance(item, PostError)]
    items = {
        "text": list(encoders.text_inputs([item.text for item in good if item.text])),
        "image": list(encoders.image_inputs(item.image for item in good if item.image is not None)),
    }
    for part, found in items.items():
        if not found:
            raise CovlaError(
                f"int8: no calibration post has a usable {part}",
                hint="Give --posts or a --window with texts and images",
            )
    return items


def _check_here(backend: Backend) -> None:
    if backend.name == "openvino" and backend.precision == "bf16":
        from covla.model.runtime.openvino import has_bf16

        if not has_bf16():
            raise CovlaError(
                "this CPU has no bf16 matrix instructions: it would run f32 under another name",
                hint="Export on a machine that has them, or give --precision int8",
            )


def _about(folder: Path, backend: Backend, posts: Posts) -> dict[str, Any]:
    about: dict[str, Any] = {**backend.as_dict(), "from": model_folder.digest(folder)}
    if backend.precision == "int8":
        about["calibrated_on"] = len(posts.calibration)
    return about


def _existing(out: Path, about: dict[str, Any]) -> Export:
    recorded = out / FILE
    if not (recorded.is_file() and read_object(recorded) == about):
        raise CovlaError(f"{out} exists and is another thing", hint="Give another --out")
    digest = model_folder.verify(out)
    compared = read_dataclass(Parity, out / "parity.json")
    return Export(str(out), digest, about, compared, str(out / "parity.txt"), reused=True)


def _describe(draft: Path, about: dict[str, Any], parity: Parity) -> None:
    """parity.json and parity.txt, metrics.json when there were labels, and training.json."""
    title = f"{about['engine']} {about['precision']} against f32, model {about['from'][:12]}"
    _dump(draft / "parity.json", parity.as_dict())
    (draft / "parity.txt").write_text(text(parity, title))
    if parity.exported is not None:
        _dump(draft / "metrics.json", parity.exported | {"n": parity.labelled})
    path = draft / "training.json"
    training = read_object(path) if path.exists() else {}
    _dump(path, training | {"exported": {**about, **(parity.source or {})}})


def _dump(path: Path, value: dict[str, Any]) -> None:
    path.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2))
