import numpy as np

from covla.training.teachers.vectors import standardise


def test_standardised_vectors_have_mean_0_and_variance_1_where_known() -> None:
    vectors = np.random.default_rng(0).normal(3, 2, (50, 4)).astype(np.float32)
    known = np.arange(50) < 30
    scaled = standardise(vectors, known)
    np.testing.assert_allclose(scaled[known].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled[known].std(0), 1, atol=1e-4)
