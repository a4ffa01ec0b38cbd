"""The heart of training, in memory: prepared posts and features in, a calibrated model out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from covla.arrays import FloatArray
from covla.errors import CovlaError
from covla.model.baselines import arch_overrides
from covla.model.configuration import CovlaConfig
from covla.model.hf import CovlaModel
from covla.model.pooling_torch import Features, pool_posts
from covla.model.towers import Towers, weights_id
from covla.posts.quality import IMAGE_QUALITY, TEXT_QUALITY
from covla.posts.taxonomy import Taxonomy
from covla.training.collate import answers
from covla.training.config import Plan
from covla.training.dataset import (
    Example,
    PreparedDataset,
    Progress,
    make_examples,
    set_context_statistics,
)
from covla.training.kernel_ridge import anchors_of
from covla.training.label_nodes import fit_label_nodes
from covla.training.pca import Reduction
from covla.training.temperature import fit_confidence, fit_temperature
from covla.training.trainer import run_stage


@dataclass(frozen=True)
class TowerShape:
    """What a head must know of the towers before it: their description, identity and widths.

    Plain data, so that a study's processes need no towers.
    """

    spec: dict[str, Any]
    encoder_id: str
    text_width: int
    image_width: int
    regions: int

    @classmethod
    def of(cls, towers: Towers) -> "TowerShape":
        """Measure the towers; the number of regions takes one forward pass."""
        encoder_id = weights_id(towers)
        side = towers.image.spec["size"]
        towers.eval()  # else the pass moves the running statistics of batch norm
        with torch.inference_mode():
            regions = int(towers.image(torch.zeros(1, 3, side, side)).shape[1])
        return cls(towers.spec, encoder_id, towers.text.width, towers.image.width, regions)


@dataclass
class Fitted:
    """A trained model, the examples it was made of (one per post, in order, then one per copy) and,
    where there is a holdout, its rows with the logits (m x C) that the temperature was fitted
    on. `sharpness`: the exponent of probabilities that makes their mean confidence the accuracy
    over clean and noisy held-out posts; None without noisy ones."""

    model: CovlaModel
    examples: list[Example]
    holdout: list[int]
    holdout_logits: Tensor | None
    sharpness: float | None = None


def fit(
    data: PreparedDataset,
    plan: Plan,
    taxonomy: Taxonomy,
    shape: TowerShape,
    *,
    features: list[Features] | None,
    vectors: FloatArray | None,
    towers: Towers | None = None,
    tokenizer: Any = None,
    reduction: Reduction | None = None,
    device: str = "auto",
    work: Path | None = None,
    progress: Progress = lambda name, done, total: None,
    callbacks: list[Any] | None = None,
) -> Fitted:
    """Both stages, then the temperature on the holdout. Equal input gives equal weights.

    Args:
        features: tokens (T x d_T) and regions (R x d_V) per post and then per copy. None: the
            towers are part of the model and train with it; then `towers` (their first weights) and
            `tokenizer`.
        vectors: standardised teacher vectors, n x width, NaN rows where it abstains; or None.
        reduction: shared by models that learn from the same posts; None for one of its own.
        device: cpu, cuda, or auto: a GPU where there is one. The model stays there.
        work: checkpoints and finished stages are kept here, and taken up; None keeps nothing.
        callbacks: transformers.TrainerCallback objects.

    Raises:
        CovlaError: the loss or the weights left the numbers; it says when.
    """
    torch.manual_seed(plan.recipe.seed)
    width = 0 if vectors is None else vectors.shape[1]
    anchors = anchors_of(
        data.teacher_labels >= 0, plan.recipe.seed, data.train_mask & (data.labels < 0)
    )
    config = configure(
        plan, taxonomy, shape,
        languages=_languages(data), teacher_width=width, with_towers=features is None,
        support=len(anchors) if features is not None else 0,
    )  # fmt: skip
    model = CovlaModel(config)
    if model.towers is not None and towers is not None:
        model.towers.load_state_dict(towers.state_dict())
        # Convolutions on a CPU take a quarter less time so.
        model.towers.image.to(memory_format=torch.channels_last)
    rows = data.all_rows()
    label_logits: list[Tensor | None] = [None] * len(rows.posts)
    if features is not None:
        if model.label_nodes is not None:
            text, image = pool_posts(features, (shape.text_width, shape.image_width))
            origin = torch.tensor([*range(len(data.posts)), *data.origin])
            given = text, image, rows.teacher_labels, anchors, origin, rows.groups
            label_logits = list(fit_label_nodes(model.label_nodes, *given))
        reduction = reduction or Reduction()
        reduction.fit(model.image, features, rows)
        features = reduction(model.image, features, rows.prepared)
    if vectors is not None:
        vectors = np.concatenate([vectors, vectors[data.origin]]) if data.origin else vectors
    examples = make_examples(rows, config, vectors, features, tokenizer)
    for example, each in zip(examples, label_logits, strict=True):
        example.label_logits = each
    learns = [examples[i] for i in rows.trains]
    set_context_statistics(
        model,
        torch.stack([example.context for example in learns]).numpy(),
        torch.stack([example.context_mask for example in learns]).numpy(),
    )
    share = int(data.train_mask.sum()) / len(learns)
    # Without a teacher, a post without a label has nothing to teach in stage 2.
    useful = [row for row in learns if row.label >= 0 or row.teacher is not None]
    for name, part, epochs in (
        ("pretrain", learns, plan.recipe.pretrain_epochs),
        ("finetune", useful, plan.recipe.epochs),
    ):
        if epochs:
            run_stage(
                name, model, part, plan.recipe, work, epochs=epochs, share=share, device=device,
                pretraining=name == "pretrain", progress=progress, callbacks=callbacks or [],
            )  # fmt: skip
    _check_numbers(model)
    if model.towers is not None:
        model.towers.image.to(memory_format=torch.contiguous_format)
    holdout = data.holdout
    if not holdout:
        return Fitted(model, examples, holdout, None)
    logits, _ = answers(model, [examples[i] for i in holdout])
    temperature = fit_temperature(logits, data.labels[holdout])
    model.config.softmax_temperature = temperature
    held = set(holdout)
    copies = [k for k, i in enumerate(data.origin) if i in held]
    if not copies:
        return Fitted(model, examples, holdout, logits)
    noisy, _ = answers(model, [examples[len(data.posts) + k] for k in copies])
    labels = data.labels[[*holdout, *(data.origin[k] for k in copies)]]
    sharpness = temperature / fit_confidence(torch.cat([logits, noisy]), labels)
    return Fitted(model, examples, holdout, logits, sharpness)


def _check_numbers(model: CovlaModel) -> None:
    """The last step may have left the numbers after its loss; so may what is fitted, not learnt."""
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise CovlaError(
                f"training: {name} is no number after the last step",
                hint="Nothing was written. Lower the learning rate, or look at the posts",
            )


def configure(
    plan: Plan,
    taxonomy: Taxonomy,
    shape: TowerShape,
    *,
    languages: list[str] | None = None,
    teacher_width: int = 0,
    with_towers: bool = False,
    support: int = 0,
) -> CovlaConfig:
    """The configuration of the model that a plan makes behind such towers."""
    return CovlaConfig(
        encoders=shape.spec,
        encoder_id=shape.encoder_id,
        text_width=shape.text_width,
        image_width=shape.image_width,
        regions=shape.regions,
        labels=taxonomy.names,
        languages=languages,
        text_quality=list(TEXT_QUALITY),
        image_quality=list(IMAGE_QUALITY),
        teacher_width=teacher_width,
        with_towers=with_towers,
        support=support,
        **arch_overrides(plan.arch) | plan.overrides,
    )


def _languages(data: PreparedDataset) -> list[str]:
    """Languages of at least one in a hundred training posts."""
    seen = [data.prepared[i].lang for i in data.trains]
    common = {code for code in set(seen) if seen.count(code) * 100 >= len(seen)}
    return sorted(common) or ["en"]
