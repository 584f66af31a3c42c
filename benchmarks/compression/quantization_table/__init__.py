"""The parts of `benchmarks/compression/quantization.py`: subjects, our ways to quantize, those of others, the page."""
