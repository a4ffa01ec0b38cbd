from monitoring.columns import compare
from monitoring.quality import noise
from tests.monitoring.rows import rows


def test_shares_outside_the_reference_bounds():
    window = rows(200, 1)
    window["image_blur"] += 1000
    found = {row.measure: row for row in noise(compare(window, rows(800, 0)))}
    assert found["image_blur"].window_share == 1.0
    assert found["image_blur"].reference_share < 0.03
    assert all(row.window_share < 0.1 for name, row in found.items() if name != "image_blur")
    assert noise(compare(window, rows(800, 0)))[0].measure == "image_blur"


def test_a_modality_that_is_not_there_has_no_rows():
    window = rows(200, 1)
    window["image_embedding"] = None
    measures = [row.measure for row in noise(compare(window, rows(800, 0)))]
    assert measures
    assert not any(name.startswith("image_") for name in measures)
