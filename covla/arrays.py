"""Names for NumPy arrays by what they hold; shapes are in the docstrings of those who use them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
PixelArray = NDArray[np.uint8]
