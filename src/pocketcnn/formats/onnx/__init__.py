"""ONNX files: written from a `Graph`, and read into one."""
