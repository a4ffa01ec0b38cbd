"""The head's engine: the process that converts a network answers as those that find it."""

from pathlib import Path

import numpy as np

from covla.model.context import Context, Layout
from covla.model.encoders import Encoded
from covla.model.head import HeadRunner


def test_a_network_that_was_just_converted_answers_as_the_one_in_the_cache(
    tiny_folder: Path, tmp_path: Path
) -> None:
    """REST and stream: whichever came first on a new version had other last digits."""
    first = HeadRunner.load(tiny_folder, device="cpu", cache=tmp_path)
    later = HeadRunner.load(tiny_folder, device="cpu", cache=tmp_path)
    rng = np.random.default_rng(0)
    config, layout = first.config, Layout.of(first.config)
    posts, contexts = [], []
    for count in rng.integers(2, 40, 60):
        tokens, regions, nodes = (
            rng.normal(size=shape).astype(np.float32)
            for shape in (
                (count, config.text_width),
                (config.regions, config.image_width),
                (layout.nodes, layout.width),
            )
        )
        posts.append(Encoded(tokens, None, regions, None))
        contexts.append(Context(nodes, np.ones(layout.nodes, np.bool_)))
    said, known = first.run(posts, contexts), later.run(posts, contexts)
    for a, b in zip(said, known, strict=True):
        np.testing.assert_array_equal(a.probabilities, b.probabilities)
        assert a.gate == b.gate
