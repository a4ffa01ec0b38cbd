from pathlib import Path

import pytest

from covla.errors import CovlaError
from covla.registry.encoder_id import encoder_id, same_encoder


def test_a_model_folder_says_which_encoders_or_nothing(tmp_path: Path) -> None:
    assert encoder_id(tmp_path) is None
    config = tmp_path / "config.json"
    for text, said in (('{"encoder_id": "ab12"}', "ab12"), ('{"encoder_id": ""}', None)):
        config.write_text(text)
        assert encoder_id(tmp_path) == said
    config.write_text("{")
    with pytest.raises(CovlaError, match="config.json"):
        encoder_id(tmp_path)


def test_a_backend_s_mark_makes_no_other_encoder() -> None:
    assert same_encoder("ab12", "ab12")
    assert same_encoder("ab12-openvino-int8-77", "ab12")
    assert not same_encoder("cd34", "ab12")
    assert not same_encoder(None, "ab12")
