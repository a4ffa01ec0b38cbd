"""The weights of a model folder, in torch: for a GPU, for training, and to be converted."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import nn

from covla.errors import CovlaError
from covla.files import file_sum, read_object
from covla.model.answer import Answer, Explanation
from covla.model.configuration import CovlaConfig
from covla.model.encoders import example
from covla.model.head_inputs import head_example
from covla.model.model_config import ModelConfig
from covla.model.modeling import Covla
from covla.model.runtime.backend import ABOUT, FORMAT
from covla.model.towers import Towers


def load_covla_config(folder: Path) -> CovlaConfig:
    """The whole configuration in a model folder.

    Raises:
        CovlaError: there is none.
    """
    about = read_object(folder / "config.json")
    try:
        config: CovlaConfig = CovlaConfig.from_dict(about)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise CovlaError(f"{folder / 'config.json'} is not of a model: {error!r}") from error
    return config


def _load(module: nn.Module, folder: Path, *, towers: bool) -> None:
    """Put a folder's weights into the towers, or into all that comes after them.

    Raises:
        CovlaError: they cannot be read, or do not fit; it names the first that does not.
    """
    path = folder / "model.safetensors"
    try:
        with safe_open(path, framework="pt") as file:
            names = [n for n in file.keys() if n.startswith("towers.") == towers]  # noqa: SIM118
            state = {n.removeprefix("towers."): file.get_tensor(n) for n in names}
    except (OSError, SafetensorError) as error:
        raise CovlaError(f"{path} cannot be read: {error}") from error
    own = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    for name in sorted(own.keys() | found.keys()):
        if own.get(name) != found.get(name):
            raise CovlaError(
                f"{path} does not fit the model of its config.json: {name} is "
                f"{found.get(name, 'missing')}, expected {own.get(name, 'nothing')}",
                hint="The folder was made by another version of covla: train again, or use that",
            )
    module.load_state_dict(state)


def folder_towers(folder: Path) -> Towers:
    """The towers that a model folder carries.

    Raises:
        CovlaError: there are none, or their weights do not fit.
    """
    towers = Towers(load_covla_config(folder).encoders)
    _load(towers, folder, towers=True)
    return towers


def folder_model(folder: Path) -> Covla:
    """All that comes after the towers.

    Raises:
        CovlaError: its weights do not fit the configuration.
    """
    config = load_covla_config(folder)
    config.with_towers = False
    model = Covla(config)
    _load(model, folder, towers=False)
    return model.eval()


def write_networks(folder: Path, out: Path) -> None:
    """A model folder's networks in f32 for OpenVINO, into a new folder `out`.

    Raises:
        CovlaError: the weights do not fit the configuration.
    """
    from covla.model.runtime.conversion import convert
    from covla.model.runtime.openvino import save

    model = folder_model(folder)
    config = ModelConfig.of(model.config)
    head = head_example(config)
    towers = folder_towers(folder).eval()
    side = int(towers.spec["image"]["size"])
    save(convert(towers.text, example("text", side), (0, 1)), out / "text.xml")
    save(convert(towers.image, example("image", side), ()), out / "image.xml")
    save(convert(Answer(model).eval(), head, (0, 1)), out / "head.xml")
    save(convert(Explanation(model).eval(), head, (0, 1)), out / "explain.xml")
    sums = {path.name: file_sum(path) for path in sorted(out.iterdir())}
    (out / ABOUT).write_text(json.dumps({"format": FORMAT, "files": sums}))
