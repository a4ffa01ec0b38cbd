"""Posts per second of the Predictor, against encoders and head alone on the same prepared posts.

What lies between the two is decoding, measuring and hashing, context, and building the answers. It
runs beside the networks where a core is free.
"""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import torch

from bench import alternate, arguments, report
from covla.inference.predictor import Predictor
from covla.model.configuration import CovlaConfig
from covla.model.context import context_of
from covla.model.hf import CovlaModel
from covla.model.towers import load_towers
from covla.posts.preprocessing import PreparedPost
from covla.posts.quality import IMAGE_QUALITY, TEXT_QUALITY
from covla.posts.synthetic import generate
from covla.posts.taxonomy import load_taxonomy
from covla.registry.model_folder import write_manifest
from covla.schemas.post import SocialPost
from covla.settings import Settings


def untrained(folder: Path) -> Path:
    """A `base` model folder with random weights: as fast as a trained one."""
    torch.manual_seed(0)
    towers, tokenizer = load_towers("base")
    config = CovlaConfig(
        encoders=towers.spec,
        with_towers=True,
        labels=load_taxonomy().names,
        text_quality=list(TEXT_QUALITY),
        image_quality=list(IMAGE_QUALITY),
    )
    model = CovlaModel(config)
    model.towers = towers
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_manifest(folder)
    return folder


def posts(count: int) -> list[SocialPost]:
    """Synthetic posts, all different."""
    start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    return [item.post for item, _ in generate(count, 0, start, end)]


def run(predictor: Predictor, items: list[SocialPost], rounds: int, *, quiet: bool) -> None:
    """Measure and print."""
    prepared = [item for item in map(predictor.prepare, items) if isinstance(item, PreparedPost)]
    engine = predictor.head
    contexts = [context_of(item, engine.config, {}) for item in prepared]

    def whole() -> None:
        predictor.clear_cache()
        predictor.predict(items)

    def bare() -> None:
        engine.run(predictor.encoders.encode(prepared), contexts)

    ours, reference = alternate(whole, bare, rounds)
    report(
        "predictor",
        [len(items) / second for second in ours],
        [len(prepared) / second for second in reference],
        unit="posts/s",
        notes=f"{len(items)} synthetic posts, model {predictor.version}; reference: encoders and "
        "head on posts that are decoded already",
        quiet=quiet,
    )


def main() -> None:
    """`--model REF` for a model of the registry; an untrained `base` otherwise."""
    options = arguments(__doc__ or "", posts=192, rounds=5, model=None)
    with tempfile.TemporaryDirectory() as scratch:
        if options.model:
            predictor = Predictor.load(options.model, Settings())
        else:
            folder = untrained(Path(scratch) / "base")
            predictor = Predictor.load(folder, Settings(state=Path(scratch) / "state"))
        predictor.warm_up()
        run(predictor, posts(options.posts), options.rounds, quiet=options.json)


if __name__ == "__main__":
    main()
