"""A graph written as the file of a runtime other than ONNX Runtime."""
