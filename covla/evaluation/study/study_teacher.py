"""The teacher of a study: asked once about every post, or trained once per seed and budget."""

from dataclasses import dataclass, replace

import torch

from covla.arrays import Array
from covla.model.encoders import Encoders
from covla.model.pooling_torch import pool_posts
from covla.posts.taxonomy import Taxonomy
from covla.settings import Settings
from covla.training.dataset import PreparedDataset, Progress, counter, encode
from covla.training.teachers.ensemble import Pooled, ensemble, lite2
from covla.training.teachers.resolve import Teacher
from covla.training.teachers.vectors import standardise, teacher_vectors


@dataclass
class StudyTeacher:
    """What is needed to teach without images at hand.

    seen: for the ensemble, what it sees of the training posts and then of the judged ones, and no
    label. fixed: for any other teacher, its standardised vectors of the training posts, which
    depend on neither labels nor seed.
    """

    seen: Pooled | None = None
    fixed: Array | None = None

    @classmethod
    def of(
        cls,
        teacher: Teacher,
        data: PreparedDataset,
        judged: list[bool],
        encoders: Encoders,
        taxonomy: Taxonomy,
        settings: Settings,
        progress: Progress,
    ) -> "StudyTeacher":
        """Look at the posts of `data`, images included; those that are `judged` come last.

        Raises:
            CovlaError: the teacher abstains from all posts that train.
        """
        if teacher.kind == "none":
            return cls()
        if teacher.kind != "ensemble":
            part = data.part([i for i, last in enumerate(judged) if not last])
            given = part, encoders, taxonomy, settings, 0, progress
            return cls(fixed=teacher_vectors(teacher, *given))
        features = encode(data, encoders, settings, progress)
        text, image = pool_posts(features, (encoders.text_width, encoders.image_width))
        more = lite2(data.prepared, settings, counter("teacher", len(data.posts), progress))
        order = sorted(range(len(judged)), key=lambda i: judged[i])
        nothing = torch.full((len(order),), -1)
        images, groups = [image[order], more[order]], data.groups[order]
        return cls(Pooled(text[order], images, nothing, len(taxonomy.names), groups))

    def vectors(self, data: PreparedDataset, seed: int) -> Array | None:
        """Standardised vectors of the training posts `data`, taught from the labels it has. The
        judged posts have no part in them. None for no teacher."""
        if self.seen is None:
            return self.fixed
        n = len(data.posts)
        seen = replace(
            self.seen,
            text=self.seen.text[:n],
            images=[side[:n] for side in self.seen.images],
            labels=data.teacher_labels,
            groups=None if self.seen.groups is None else self.seen.groups[:n],
        )
        return standardise(ensemble(seen, seed), data.train_mask.numpy())

    def logits(self, data: PreparedDataset, seed: int) -> Array:
        """The ensemble's log-probabilities of the training posts and then of the judged ones, which
        it is asked about and never taught. n x C."""
        assert self.seen is not None
        unknown = torch.full((len(self.seen.text) - len(data.posts),), -1)
        labels = torch.cat([data.teacher_labels, unknown])
        return ensemble(replace(self.seen, labels=labels), seed)
