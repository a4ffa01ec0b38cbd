"""What a service answers with, and what it opens for that."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from covla.settings import Settings

pytestmark = pytest.mark.slow

EARLIER = Path(__file__).parents[1] / "fixtures" / "earlier" / "model"
CODE = """
import sys
from pathlib import Path
import services.stream
from covla.settings import get_settings
from services.model_provider import serving
with serving(get_settings(), sys.argv[1]) as current:
    print(current().head.config.context_nodes, "feast" in sys.modules, sep="|")
"""


@pytest.mark.parametrize("hashtags", [False, True])
def test_the_online_store_is_opened_before_the_first_post_where_the_model_asks_it(
    hashtags: bool, offline_settings: Settings, tmp_path: Path
) -> None:
    """Feast is seconds and a hundred megabytes; a first request must not pay for it."""
    folder = tmp_path / "model"
    folder.mkdir()
    for path in EARLIER.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    if hashtags:
        from covla.model.configuration import CovlaConfig
        from covla.model.folder_weights import folder_towers, load_covla_config
        from covla.model.hf import CovlaModel
        from covla.registry.model_folder import write_manifest

        about = load_covla_config(EARLIER).to_dict()
        nodes = [*about["context_nodes"], "hashtags"]
        model = CovlaModel(CovlaConfig(**about | {"context_nodes": nodes, "with_towers": True}))
        assert model.towers is not None
        model.towers.load_state_dict(folder_towers(EARLIER).state_dict())
        model.save_pretrained(folder)
        write_manifest(folder)
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(folder)],
        env=offline_settings.environment(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    nodes_of, feast = done.stdout.strip().split("|")
    assert ("hashtags" in nodes_of) is hashtags
    assert json.loads(feast.lower()) is hashtags
