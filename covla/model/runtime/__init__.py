"""What runs a network: OpenVINO, ONNX Runtime or torch, and at which precision."""
