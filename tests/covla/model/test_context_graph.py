import pytest
import torch

from covla.model.configuration import CovlaConfig
from covla.model.context_graph import ContextGraph, grid_edges, normalise


def test_normalisation_is_symmetric_and_closed_form() -> None:
    weights = torch.tensor([[[0.0, 0.5], [0.5, 0.0]]])
    graph = normalise(weights, torch.ones(1, 2, dtype=torch.bool))
    # Degrees are 1.5 each: 1 / 1.5 on the diagonal, 0.5 / 1.5 beside it.
    torch.testing.assert_close(graph, torch.tensor([[[2 / 3, 1 / 3], [1 / 3, 2 / 3]]]))


def test_a_masked_node_has_no_edges_and_changes_nobody_elses() -> None:
    torch.manual_seed(0)
    weights = torch.rand(1, 5, 5)
    weights = (weights + weights.transpose(1, 2)) / 2
    mask = torch.tensor([[True, True, False, True, False]])
    graph = normalise(weights, mask)
    assert graph[0, 2].abs().sum() == 0
    assert graph[0, :, 4].abs().sum() == 0
    kept = mask[0].nonzero().flatten()
    alone = normalise(weights[:, kept][:, :, kept], torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(graph[:, kept][:, :, kept], alone)
    torch.testing.assert_close(graph, graph.transpose(1, 2))


def test_regions_are_joined_to_their_four_neighbours() -> None:
    edges = grid_edges(3, 3)
    assert edges[4].nonzero().flatten().tolist() == [1, 3, 5, 7]
    assert edges[0].nonzero().flatten().tolist() == [1, 3]
    assert torch.equal(edges, edges.T)


def test_edges_are_windows_grid_nearest_regions_and_context_to_all() -> None:
    config = CovlaConfig(labels=["a", "b"], regions=9, width=8, window=2, neighbours=1)
    cosine = torch.zeros(1, 4, 9)
    cosine[0, :, 5] = 1.0  # every token's nearest region
    edges = ContextGraph(config).edges(cosine, tokens=4, context=1)[0]
    assert edges.shape == (14, 14)
    assert edges[0, :4].tolist() == [1, 1, 1, 0]
    assert edges[0, 4:13].nonzero().flatten().tolist() == [5]
    assert edges[13].tolist() == [1.0] * 14
    assert torch.equal(edges, edges.T)


def test_the_choice_of_neighbours_has_no_gradient_but_their_weights_have() -> None:
    torch.manual_seed(0)
    config = CovlaConfig(labels=["a", "b"], regions=4, width=8, graph_layers=1)
    graph = ContextGraph(config)
    tokens = torch.randn(1, 3, 8, requires_grad=True)
    refined, _, _ = graph(
        tokens, torch.randn(1, 4, 8), torch.randn(1, 1, 8), torch.ones(1, 8, dtype=torch.bool)
    )
    refined.sum().backward()
    assert tokens.grad is not None
    assert tokens.grad.abs().sum() > 0


@pytest.mark.parametrize("regions", [7, 49])
def test_padding_changes_nothing_for_real_nodes(regions: int) -> None:
    torch.manual_seed(0)
    config = CovlaConfig(labels=["a", "b"], regions=regions, width=8)
    graph = ContextGraph(config).eval()
    tokens, image, context = torch.randn(1, 3, 8), torch.randn(1, regions, 8), torch.randn(1, 2, 8)
    mask = torch.ones(1, 3 + regions + 2, dtype=torch.bool)
    short = graph(tokens, image, context, mask)
    padded = torch.cat([tokens, torch.randn(1, 4, 8)], 1)
    longer = torch.cat([mask[:, :3], torch.zeros(1, 4, dtype=torch.bool), mask[:, 3:]], 1)
    long = graph(padded, image, context, longer)
    torch.testing.assert_close(long[0][:, :3], short[0])
    torch.testing.assert_close(long[1], short[1])
    torch.testing.assert_close(long[2], short[2])
