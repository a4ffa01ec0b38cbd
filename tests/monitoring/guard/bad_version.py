"""A version that is wrong about everything that the first one is right about."""

import json
import shutil
from pathlib import Path

from covla.registry.model_folder import write_manifest


def with_other_labels(folder: Path, copy: Path) -> Path:
    """The same model with its labels moved on by one: each prediction is another one."""
    shutil.copytree(folder, copy)
    (copy / "manifest.json").unlink()
    path = copy / "config.json"
    config = json.loads(path.read_text())
    names = list(config["id2label"].values())
    names = names[1:] + names[:1]
    config["id2label"] = {str(i): name for i, name in enumerate(names)}
    config["label2id"] = {name: i for i, name in enumerate(names)}
    path.write_text(json.dumps(config))
    write_manifest(copy)
    return copy
