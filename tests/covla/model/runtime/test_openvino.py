"""A network on OpenVINO, as Python sees it."""

import gc
import subprocess
import sys
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


SWAPPED = """
import gc, os, signal, threading
import numpy as np, openvino as ov
from openvino import opset13 as ops
from covla.model.runtime.openvino import OpenVinoNetwork

class Serving:
    def swap(self):
        given = ops.parameter([1, 3], np.float32)
        self.network = OpenVinoNetwork(ov.Model([ops.negative(given)], [given]))
        self.network.run([(np.ones((1, 3), np.float32),)])
        gc.collect()

serving = Serving()
serving.swap()
follower = threading.Thread(target=serving.swap)
follower.start()
follower.join()
signal.signal(signal.SIGTERM, lambda *_: print("told to end"))
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_process_whose_network_another_thread_replaced_can_still_be_told_to_end() -> None:
    """It died of a segmentation fault at the first signal after a hot swap."""
    done = subprocess.run(
        [sys.executable, "-c", SWAPPED], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "told to end\n"), done.stderr
