"""Torch modules to networks of OpenVINO and ONNX, of batch 1; see `open_network`."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import openvino as ov
import torch
from torch import nn

from covla.model.runtime.network import Arrays


def convert(module: nn.Module, example: Arrays, ragged: Sequence[int]) -> ov.Model:
    """A torch module as an OpenVINO network."""
    tensors = tuple(torch.from_numpy(array) for array in example)
    with torch.inference_mode(), warnings.catch_warnings():
        # Tracing warns of branches on shapes; the tests of equal answers cover all lengths.
        warnings.simplefilter("ignore")
        network = ov.convert_model(module, example_input=tensors)
    for position, tensor in enumerate(tensors):
        shape = [-1 if position in ragged and i == 1 else n for i, n in enumerate(tensor.shape)]
        node = network.inputs[position].get_node()
        node.set_partial_shape(ov.PartialShape(shape))
        if tensor.dtype == torch.int64:
            node.set_element_type(ov.Type.i64)
    network.validate_nodes_and_infer_types()
    return network


def write_onnx(module: nn.Module, example: Arrays, ragged: Sequence[int], path: Path) -> None:
    """A torch module as an ONNX file.

    Torch's older exporter is used: the newer one (torch 2.15) writes a MiniLM whose answers are
    wrong for every length but the traced one.
    """
    names = [f"i{position}" for position in range(len(example))]
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of branches on shapes, and of the newer exporter
        torch.onnx.export(
            module,
            tuple(torch.from_numpy(array) for array in example),
            str(path),
            input_names=names,
            dynamic_axes={names[i]: {1: "T"} for i in ragged},
            opset_version=18,
            dynamo=False,
        )
