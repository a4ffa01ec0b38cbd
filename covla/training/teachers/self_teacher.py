"""`self`: a trained CoVLA model teaches the next one, about posts without a label.

On a labelled post the model mostly repeats the label that it was trained on, and nothing in its
folder says which posts those were. So it abstains there (docs/adr/0010-teachers.md).
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from covla.arrays import FloatArray
from covla.model.answer import whole_output
from covla.model.context import Context, context_of
from covla.model.encoders import Encoded
from covla.model.folder_weights import folder_model
from covla.model.head import folder_encoders
from covla.model.head_inputs import head_inputs
from covla.model.model_config import load_config
from covla.model.runtime.device import pick_device
from covla.posts.preprocessing import PreparedPost
from covla.posts.training_post import TrainingPost
from covla.settings import Settings
from covla.training.feature_cache import FeatureCache
from covla.training.teachers.resolve import Teacher

Asked = tuple[PreparedPost, Context]


class SelfTeacher:
    """Calibrated log-probabilities (C) and the fused vector h_F (d) of a CoVLA model folder."""

    def __init__(self, teacher: Teacher, settings: Settings) -> None:
        folder = Path(teacher.source)
        self.config = load_config(folder)
        self.device = pick_device(settings.device)
        self.model = folder_model(folder).to(self.device)
        self.encoders = folder_encoders(folder, settings)
        self.features = FeatureCache(settings.cache / "features", self.encoders.id)

    def read(self, items: Sequence[Asked]) -> FloatArray:
        """n x (C + d)."""
        # The student's own features, where it has the same encoders: they are encoded once.
        found = self.features.features([item for item, _ in items], self.encoders.encode)
        rows = []
        for (tokens, regions), (_, context) in zip(found, items, strict=True):
            sides = [None if part is None else part.float().numpy() for part in (tokens, regions)]
            inputs = head_inputs(self.config, Encoded(sides[0], None, sides[1], None), context)
            out = whole_output(self.model, inputs, self.device)
            assert out.logits is not None
            assert out.h_f is not None
            calibrated = out.logits / self.config.softmax_temperature
            row = [calibrated.log_softmax(-1)[0], out.h_f[0]]
            rows.append(np.concatenate([part.float().cpu().numpy() for part in row]))
        return np.stack(rows)


def asked(
    teacher: Teacher, posts: Sequence[TrainingPost], prepared: Sequence[PreparedPost]
) -> list[tuple[str, Asked] | None]:
    """Per post, what the model is asked and the key of its answer; None where it abstains."""
    config = load_config(Path(teacher.source))
    rows: list[tuple[str, Asked] | None] = []
    for row, item in zip(posts, prepared, strict=True):
        if row.label is not None:
            rows.append(None)
            continue
        context = context_of(item, config, row.priors)
        about = context.nodes.tobytes() + context.mask.tobytes()
        key = hashlib.sha256(f"{item.text_hash}\0{item.image_hash}\0".encode() + about)
        rows.append((key.hexdigest(), (item, context)))
    return rows
