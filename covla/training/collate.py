"""Examples as padded batches, for training and for asking a model about them."""

import torch
from torch import Tensor

from covla.model.modeling import Covla
from covla.training.dataset import Example


class Collator:
    """Examples to a padded batch."""

    def __init__(self, model: Covla, *, pretraining: bool = False) -> None:
        self.config = model.config
        self.raw = model.towers is not None
        self.size = model.towers.image.spec["size"] if model.towers is not None else 0
        self.pretraining = pretraining

    def length(self, row: Example) -> int:
        """How many tokens the text of `row` has."""
        text = row.ids if self.raw else row.tokens
        return 0 if text is None else len(text)

    def __call__(self, rows: list[Example]) -> dict[str, Tensor | bool]:
        """The fields of a `Batch`, by name."""
        config, n = self.config, len(rows)
        texts = [row.ids if self.raw else row.tokens for row in rows]
        pictures = [row.pixels if self.raw else row.regions for row in rows]
        longest = max(1, *map(self.length, rows))
        mask = torch.zeros(n, longest, dtype=torch.bool)
        if self.raw:
            ids = torch.zeros(n, longest, dtype=torch.long)
            seen = torch.zeros(n, 3, self.size, self.size)
        else:
            ids = torch.zeros(n, longest, config.text_width)
            wide = next((len(p[0]) for p in pictures if p is not None), config.image_width)
            seen = torch.zeros(n, config.regions, wide)
        for i, (text, picture) in enumerate(zip(texts, pictures, strict=True)):
            if text is not None:
                ids[i, : len(text)], mask[i, : len(text)] = text, True
            if picture is not None:
                seen[i] = picture
        batch: dict[str, Tensor | bool] = {
            "context": torch.stack([row.context for row in rows]),
            "context_mask": torch.stack([row.context_mask for row in rows]),
            "labels": torch.tensor([row.label for row in rows]),
            "pretraining": self.pretraining,
            "has_image": torch.tensor([picture is not None for picture in pictures]),
        }
        if self.raw:
            batch |= {"input_ids": ids, "attention_mask": mask.long(), "pixel_values": seen}
        else:
            batch |= {"tokens": ids, "token_mask": mask, "regions": seen}
        label_logits = [row.label_logits for row in rows if row.label_logits is not None]
        if label_logits:
            batch["label_logits"] = torch.stack(label_logits)
        if config.teacher_width:
            blank = torch.zeros(config.teacher_width)
            vectors = [blank if row.teacher is None else row.teacher for row in rows]
            batch["teacher"] = torch.stack(vectors)
            batch["has_teacher"] = torch.tensor([row.teacher is not None for row in rows])
        return batch


def answers(model: Covla, examples: list[Example], *, batch: int = 64) -> tuple[Tensor, Tensor]:
    """n x C logits and n gates of `model`, in order, without dropout and noise.

    Texts of like length share a batch: little of it is padding.
    """
    model.eval()
    device = next(model.parameters()).device
    collate = Collator(model)
    order = sorted(range(len(examples)), key=lambda i: collate.length(examples[i]))
    logits = torch.zeros(len(examples), len(model.config.labels))
    gates = torch.zeros(len(examples))
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            inputs = collate([examples[i] for i in part])
            moved = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in inputs.items()}
            out = model(**moved)
            logits[part], gates[part] = out.logits.float().cpu(), out.gate.float().cpu()
    return logits, gates
