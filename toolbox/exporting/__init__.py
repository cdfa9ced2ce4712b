"""Networks become programs: ONNX files, and exported programs of PyTorch."""
