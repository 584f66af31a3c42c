"""The parts of `benchmarks.compression.quantization`: subjects, our ways to quantize, those of others, the page."""
