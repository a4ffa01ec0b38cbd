"""What the weights of a folder are called, from the bytes of the file alone."""

import shutil
from pathlib import Path

import pytest

from covla.errors import CovlaError
from covla.model.folder_weights import folder_model, folder_towers
from covla.model.towers import weights_id
from covla.model.weights_file import head_digest, towers_digest


def test_the_name_is_that_of_the_loaded_weights(tiny_folder: Path) -> None:
    assert towers_digest(tiny_folder)[:16] == weights_id(folder_towers(tiny_folder))
    assert head_digest(tiny_folder)[:16] == weights_id(folder_model(tiny_folder))


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x02" + b"\0" * 7 + b"[]", None])
def test_a_damaged_file_is_one_line(
    tiny_folder: Path, tmp_path: Path, content: bytes | None
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_folder, copy)
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100_000] if content is None else content)
    with pytest.raises(CovlaError, match=r"model\.safetensors cannot be read"):
        _ = towers_digest(copy), head_digest(copy)
