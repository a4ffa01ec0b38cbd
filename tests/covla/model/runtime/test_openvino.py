"""A network on OpenVINO, as Python sees it."""

import gc
import weakref

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from covla.model.runtime.openvino import OpenVinoNetwork


def test_a_network_that_nobody_uses_any_more_gives_its_memory_back() -> None:
    """A hot swap lets the version before go: of `base` that is some hundred megabytes."""
    given = ops.parameter([1, 3], np.float32)
    network = OpenVinoNetwork(ov.Model([ops.multiply(given, np.float32(2))], [given]))
    row = np.array([[1, 2, 3]], np.float32)
    ((doubled,),) = network.run([(row,)])
    np.testing.assert_array_equal(doubled, 2 * row)
    left = weakref.ref(network)
    del network
    gc.collect()
    assert left() is None
