"""The head in torch: as modules that can be converted, and run as they are, on a GPU above all."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from covla.model.batch import Batch
from covla.model.head_inputs import head_example
from covla.model.model_config import ModelConfig
from covla.model.modeling import Covla
from covla.model.output import CovlaOutput
from covla.model.runtime.backend import Backend, open_network
from covla.model.runtime.network import Arrays, Network


class Answer(nn.Module):
    """Probabilities, gate and tempered logits as plain tensors, which is what can be converted."""

    def __init__(self, model: Covla) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The six inputs of `head_inputs` to B x C, B, B x C."""
        out = self.model(Batch.of_features(*inputs))
        logits = out.logits / self.model.config.softmax_temperature
        return self.model.probabilities(out.logits), out.gate, logits


class Explanation(nn.Module):
    """What `ModelConfig.explained` names, as plain tensors."""

    def __init__(self, model: Covla) -> None:
        super().__init__()
        self.model = model
        self.names = ModelConfig.of(model.config).explained

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The six inputs of `head_inputs` to logits B x C, attention B x T x R, label_logits
        B x 3 x C and votes B x 3, of which a model may lack some."""
        out = self.model(Batch.of_features(*inputs))
        return tuple(getattr(out, name) for name in self.names)


class TorchExplanation:
    """`Explanation` one post after another, without padding."""

    def __init__(self, model: Covla, device: str) -> None:
        self._module = Explanation(model).eval()
        self._device = device

    def run(self, items: Iterable[Arrays]) -> list[Arrays]:
        """See `Network`."""
        with torch.inference_mode():
            outputs = [self._module(*tensors(arrays, self._device)) for arrays in items]
        return [tuple(part.float().cpu().numpy() for part in each) for each in outputs]


def tensors(arrays: Arrays, device: str) -> tuple[Tensor, ...]:
    """Arrays on a device."""
    return tuple(torch.from_numpy(array).to(device) for array in arrays)


def whole_output(model: Covla, inputs: Arrays, device: str) -> CovlaOutput:
    """All that `model`, which is on `device`, says of the posts of `head_inputs`."""
    with torch.inference_mode():
        output: CovlaOutput = model(Batch.of_features(*tensors(inputs, device)))
    return output


def networks_of(model: Covla, name: str, device: str) -> tuple[Network, Callable[[], Network]]:
    """The head as a network of the backend `name`, and what gives the one that explains.

    `model` goes to `device`, "cpu" or "cuda", which counts for torch alone.
    """
    device = device if name == "torch" else "cpu"
    config = ModelConfig.of(model.config)
    model = model.eval().to(device)

    def network(module: nn.Module) -> Network:
        return open_network(
            lambda: module,
            Backend(name),
            example=head_example(config),
            ragged=(0, 1),
            pads=(0, 0),
            device=device,
        )

    def explanation() -> Network:
        if name == "torch":
            return TorchExplanation(model, device)
        return network(Explanation(model).eval())

    return network(Answer(model).eval()), explanation
