import torch

from covla.model.projection import Projection


def test_reduced_features_project_as_whole_ones_do() -> None:
    torch.manual_seed(0)
    features = torch.randn(200, 12) * torch.linspace(0.1, 3, 12)
    projection = Projection(12, 5, components=4)
    projection.fit(features)
    reduced = projection.reduce(features)
    assert reduced.shape == (200, 4)
    torch.testing.assert_close(projection(reduced), projection(features))
    # Components are in order of variance, and one on average.
    variance = reduced.var(0)
    assert (variance.diff() <= 0).all()
    torch.testing.assert_close(variance.mean(), torch.tensor(1.0), rtol=0.02, atol=0)


def test_without_components_all_features_count() -> None:
    assert Projection(12, 5).linear.in_features == 12
    assert Projection(12, 5, components=12).linear.in_features == 12
