"""A model folder loads whole or not at all."""

from pathlib import Path

import pytest

from covla.errors import CovlaError
from covla.registry.model_folder import digest, verify, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "sub" / "config.json").write_text("{}")
    write_manifest(tmp_path)
    return tmp_path


def test_a_sealed_folder_verifies(folder: Path) -> None:
    assert verify(folder) == digest(folder)


def test_without_a_manifest_it_is_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(CovlaError, match="covla train"):
        verify(tmp_path)


def test_a_flipped_byte_is_named(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weightz")
    with pytest.raises(CovlaError, match=r"model\.safetensors is changed"):
        verify(folder)


def test_missing_and_extra_files_are_named(folder: Path) -> None:
    (folder / "extra.json").write_text("{}")
    with pytest.raises(CovlaError, match=r"extra\.json is extra"):
        verify(folder)
    (folder / "extra.json").unlink()
    (folder / "sub" / "config.json").unlink()
    with pytest.raises(CovlaError, match=r"config\.json is missing"):
        verify(folder)


def test_a_pickle_is_not_sealed(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(b"")
    with pytest.raises(CovlaError, match=r"model\.pkl"):
        write_manifest(folder)


def test_the_same_files_have_the_same_digest(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "sub").mkdir()
    (other / "model.safetensors").write_bytes(b"weights")
    (other / "sub" / "config.json").write_text("{}")
    assert write_manifest(other) == digest(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"not json", "it is no valid JSON"),
        ("{}".encode("utf-16"), "not UTF-8 text"),
        (b"[]", "it is no JSON object"),
        (b"{}", "does not list the files"),
        (b'{"files": ["a"]}', "does not list the files"),
    ],
)
def test_a_damaged_manifest_is_one_line(folder: Path, content: bytes, message: str) -> None:
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(CovlaError, match=message) as refused:
        verify(folder)
    assert str(folder / "manifest.json") in str(refused.value)
