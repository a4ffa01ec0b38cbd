"""A row's answers are those of the model that it fitted, whatever is computed once for all rows."""

from pathlib import Path

import numpy as np
import pytest

from covla.evaluation.study import inputs
from covla.evaluation.study.fit_variant import fit_row
from covla.evaluation.study.inputs import Inputs, gather
from covla.evaluation.study.pool import one_thread
from covla.evaluation.study.posts import read_posts
from covla.evaluation.study.variants import SharedConfig, choose
from covla.posts.taxonomy import load_taxonomy
from covla.settings import Settings
from covla.training.collate import answers
from covla.training.dataset import PreparedDataset, make_examples
from covla.training.fit import fit
from covla.training.recipe import Recipe
from covla.training.teachers.resolve import NO_TEACHER

CONDITIONS = (("text", "missing", 0.5), ("image", "missing", 0.5), ("image", "blur", 0.5))
SHORT = SharedConfig(teacher=NO_TEACHER, recipe=Recipe(epochs=2, pretrain_epochs=1, batch=16))


@pytest.fixture(scope="module")
def gathered(
    posts_folder: Path, study_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Inputs:
    taxonomy = load_taxonomy(settings=study_settings)
    posts = read_posts(posts_folder, "val", taxonomy, study_settings, unlabelled=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "CONDITIONS", CONDITIONS)
        found, *_ = gather(
            posts, choose(("covla",), SHORT), "base", taxonomy, study_settings,
            tmp_path_factory.mktemp("work"), noise=True, teacher=NO_TEACHER, copies=1,
            unlabelled=None, progress=lambda *_: None,
        )  # fmt: skip
    return found


@pytest.mark.slow
def test_a_row_says_what_its_model_says_of_whole_features(gathered: Inputs) -> None:
    (row,) = choose(("covla",), SHORT)
    with one_thread():
        outcome = fit_row(row, SHORT, 0, gathered, None)
        again = fit_row(row, SHORT, 0, gathered, None)  # of regions that the first reduced
        data = gathered.usual
        features = gathered.features(data.prepared + data.copies)
        model = fit(
            data, row.plan(SHORT, 0), gathered.taxonomy, gathered.shape,
            features=features, vectors=None,
        ).model  # fmt: skip
    assert outcome.noisy_logits is not None
    assert np.array_equal(outcome.logits, again.logits)
    assert np.array_equal(outcome.noisy_logits, again.noisy_logits)
    judged = gathered.judged
    for items, said in [
        (judged.prepared, outcome.logits),
        *zip(gathered.noisy.values(), outcome.noisy_logits, strict=True),
    ]:
        part = PreparedDataset(judged.posts, items, judged.labels, 0)
        whole = make_examples(part, model.config, None, gathered.features(items))
        assert whole[0].label_logits is None  # the label nodes are asked by the model itself
        np.testing.assert_allclose(said, answers(model, whole)[0], atol=0.02)
    assert outcome.conditions == list(gathered.noisy)
    gone = outcome.noisy_gate[:2] if outcome.noisy_gate is not None else None
    assert gone is not None
    assert gone[0].mean() < outcome.gate.mean() < gone[1].mean()
