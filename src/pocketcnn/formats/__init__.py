"""Readers and writers of model formats: ONNX, TensorFlow Lite, ncnn, ExecuTorch."""
