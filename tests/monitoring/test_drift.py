import numpy as np
import pytest

from bench.drift import p_values, result_of
from monitoring import drift
from monitoring.columns import Comparison, compare
from tests.monitoring.rows import rows, shifted

REFERENCE = rows(600, 0)


def evaluate(window, reference=REFERENCE, agreement=None):
    comparison = compare(window, reference, agreement)
    return result_of(comparison, p_values(comparison))


def alignment(text, image):
    """Stands in for the real signal: a number per pair that only their pairing can change."""
    return text[:, 0] * image[:, 0]


@pytest.mark.slow
def test_no_drift_gives_few_false_alarms():
    alarms = [
        evaluate(rows(200, seed), rows(600, 1000 + seed), alignment).drift for seed in range(1, 41)
    ]
    assert sum(alarms) <= 2  # 5 % of 40; ALPHA allows 1 %


@pytest.mark.slow
@pytest.mark.parametrize("modality", ["text", "image"])
@pytest.mark.parametrize("seed", range(1, 4))
def test_names_the_modality_whose_embeddings_moved(modality, seed):
    found = evaluate(shifted(rows(150, seed), modality, 0.8))
    assert found.drift
    assert found.drift_modality == modality
    assert f"{modality}_embedding" in found.modalities[modality].columns
    other = {"text": "image", "image": "text"}[modality]
    assert not found.modalities[other].drift


@pytest.mark.parametrize("column", ["text_words", "image_blur", "image_brightness"])
def test_names_the_modality_whose_quality_changed(column):
    window = rows(150, 1)
    window[column] *= 3
    found = evaluate(window)
    assert found.drift_modality == column.split("_")[0]
    assert found.modalities[found.drift_modality].columns == [column]


def test_a_new_language_is_drift_of_text():
    window = rows(150, 1)
    window["lang"] = np.where(np.arange(150) % 2, "ja", window["lang"])
    found = evaluate(window)
    assert found.drift_modality == "text"
    assert found.modalities["text"].columns == ["text_lang"]


def test_names_missing_when_pictures_stop_coming():
    window = rows(150, 1)
    gone = np.arange(150) % 3 == 0
    window["image_embedding"] = window["image_embedding"].where(~gone, None)
    found = evaluate(window)
    assert found.drift_modality == "missing"
    assert found.modalities["missing"].columns == ["missing_image"]


def test_a_window_of_one_modality_is_evaluated_on_what_it_has():
    window = rows(150, 1)
    window["image_embedding"] = None
    found = evaluate(window, agreement=alignment)
    assert found.drift_modality == "missing"
    assert found.modalities["image"].score is None
    assert "0 posts of the window" in str(found.modalities["image"].skipped)
    assert found.modalities["agreement"].skipped
    assert found.modalities["text"].tested > 1


def test_names_agreement_only_when_it_changed_alone():
    def signal(text, image):
        return -np.abs(text.sum(axis=1) - image.sum(axis=1))

    def paired(frame):
        # The text says what the image shows: their sums agree.
        out = frame.copy()
        for i, (text, image) in enumerate(
            zip(frame["text_embedding"], frame["image_embedding"], strict=True)
        ):
            if text is not None and image is not None:
                out.at[i, "text_embedding"] = text + (image.sum() - text.sum()) / len(text)
        return out

    reference, window = paired(REFERENCE), paired(rows(150, 1))
    assert not evaluate(window, reference, signal).drift
    there = window["text_embedding"].notna() & window["image_embedding"].notna()
    mixed = window.copy()
    mixed.loc[there, "image_embedding"] = np.roll(
        np.array([*window.loc[there, "image_embedding"], None], dtype=object)[:-1], 1
    )
    found = evaluate(mixed, reference, signal)
    assert found.drift_modality == "agreement"
    moved = shifted(mixed, "image", 0.8)
    assert evaluate(moved, reference, signal).drift_modality == "image"


def test_mixed_pairs_are_found_without_a_signal_that_knows_the_encoders():
    def paired(frame):
        # Both tell the place: a common part along one direction.
        rng = np.random.default_rng(7)
        out = frame.copy()
        for i, place in enumerate(rng.standard_normal(len(frame))):
            for column in ("text_embedding", "image_embedding"):
                if (vector := frame.at[i, column]) is not None:
                    out.at[i, column] = vector + np.float32(place)
        return out

    reference, window = paired(rows(1200, 0)), paired(rows(200, 1))
    assert not evaluate(window, reference).drift
    both = (window["text_embedding"].notna() & window["image_embedding"].notna()).to_numpy()
    mixed = window.copy()
    mixed["image_embedding"] = window["image_embedding"].where(~both, None)
    images = np.roll(np.array([*window.loc[both, "image_embedding"], None], dtype=object)[:-1], 1)
    for place, image in zip(np.flatnonzero(both), images, strict=True):
        mixed.at[place, "image_embedding"] = image
    found = evaluate(mixed, reference)
    assert found.drift_modality == "agreement"
    assert found.modalities["agreement"].columns == ["agreement_learned"]


def test_a_model_whose_towers_trained_along_has_not_drifted_from_its_own_posts():
    """Its reference has no embeddings, and says itself which posts have which modality."""
    own = rows(400, 3)
    for modality in ("text", "image"):
        own[f"has_{modality}"] = own[f"{modality}_embedding"].notna()
    window = own.drop(columns=["has_text", "has_image"])
    reference = own.assign(text_embedding=None, image_embedding=None)
    found = evaluate(window, reference)
    assert not found.drift
    assert found.modalities["missing"].tested == 2
    reference = reference.drop(columns=["has_text", "has_image"])
    found = evaluate(window, reference)
    assert not found.drift
    assert found.modalities["missing"].skipped


def test_only_columns_that_cannot_be_tested_are_no_drift():
    window, reference = rows(60, 1), rows(120, 0, single=0)
    for side in (window, reference):
        side["lang"] = "en"
        measures = [name for name in side if name.startswith(("text_", "image_"))]
        side[[name for name in measures if not name.endswith("embedding")]] = 1.0
        side["image_embedding"] = side["text_embedding"] = [np.ones(8, np.float32)] * len(side)
    found = evaluate(window, reference)
    assert not found.drift
    assert all(one.score is None and one.skipped for one in found.modalities.values())


def test_the_order_of_rows_does_not_matter():
    window = shifted(rows(150, 1), "image", 0.3)
    again = window.sample(frac=1, random_state=1), REFERENCE.sample(frac=1, random_state=2)
    assert evaluate(window) == evaluate(again[0].reset_index(drop=True), again[1])


def test_thresholds_never_add_up_to_more_than_alpha():
    limits = drift.thresholds(compare(rows(150, 1), REFERENCE, alignment))
    assert sum(limits.values()) <= drift.ALPHA * (1 + 1e-9)
    agreement = {"agreement", "agreement_learned"}
    assert {"text_embedding", "image_embedding", "missing_text"} | agreement <= limits.keys()


def test_a_score_is_the_corrected_p_value():
    comparison = Comparison(rows(40, 1), rows(40, 2), columns={"text": ["text_words", "text_urls"]})
    found = result_of(comparison, {"text_words": 1e-6, "text_urls": 0.5})
    assert found.modalities["text"].p_value == pytest.approx(2e-6)
    assert found.modalities["text"].score == pytest.approx(-np.log10(2e-6), abs=1e-4)
    assert found.modalities["text"].columns == ["text_words"]
    assert not found.modalities["missing"].drift
