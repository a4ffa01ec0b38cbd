"""Towers in int8, after training: static scales from a few hundred posts, no labels (ADR 11)."""

import contextlib
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import openvino as ov

from covla.model.runtime.network import Arrays


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Bars and notes to stderr: stdout is for the command's result."""
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def openvino_int8(network: ov.Model, items: Sequence[Arrays], *, transformer: bool) -> ov.Model:
    """An f32 network to int8 by NNCF: per-channel weights, static activations, bias correction.

    Args:
        network: as `conversion.convert` makes it.
        items: its inputs for the calibration posts.
        transformer: attention and LayerNorm stay f32, and SmoothQuant is applied; for a
            convolutional network, asymmetric activations.
    """
    with _quiet():
        import nncf

        nncf.set_log_level(logging.ERROR)
        data = nncf.Dataset(items, lambda arrays: arrays if len(arrays) > 1 else arrays[0])
        how = (
            {"model_type": nncf.ModelType.TRANSFORMER}
            if transformer
            else {"preset": nncf.QuantizationPreset.MIXED}
        )
        # Weights of seven bits: a CPU without VNNI adds int8 products in 16 bits, which overflow.
        safe = nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE)
        return nncf.quantize(network, data, subset_size=len(items), advanced_parameters=safe, **how)


def onnx_int8(path: Path, items: Sequence[Arrays], *, transformer: bool) -> None:
    """An ONNX file of `conversion.write_onnx` to int8, in place, by ONNX Runtime's own tools:
    NNCF's result runs three times slower there than f32.

    A transformer gets dynamic scales, per tensor of one post; a convolutional network static ones
    from `items`.
    """
    from onnxruntime import quantization as ort

    class Reader(ort.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._items = iter(items)

        def get_next(self) -> dict[str, object] | None:
            arrays = next(self._items, None)
            return None if arrays is None else {f"i{i}": a for i, a in enumerate(arrays)}

    with tempfile.TemporaryDirectory(dir=path.parent) as scratch, _quiet():
        ready, done = Path(scratch) / "ready.onnx", Path(scratch) / "done.onnx"
        ort.shape_inference.quant_pre_process(str(path), str(ready), skip_symbolic_shape=True)
        if transformer:
            ort.quantize_dynamic(str(ready), str(done), per_channel=True)
        else:
            ort.quantize_static(
                str(ready),
                str(done),
                Reader(),
                quant_format=ort.QuantFormat.QDQ,
                per_channel=True,
                activation_type=ort.QuantType.QUInt8,
                weight_type=ort.QuantType.QInt8,
            )
        done.replace(path)
