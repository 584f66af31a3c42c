"""Export of a `Graph` to ONNX, and import of ONNX files."""
