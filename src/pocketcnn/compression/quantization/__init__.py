"""Quantization in the library's integer arithmetic (`graph/numerics.py`): post-training, and with learned step sizes."""

from pocketcnn.compression.quantization.learned_steps import LearnedSteps as LearnedSteps
from pocketcnn.compression.quantization.placeholder import with_placeholder_formats as with_placeholder_formats
from pocketcnn.compression.quantization.quantize import quantize as quantize
from pocketcnn.compression.quantization.settings import AdaRoundSettings as AdaRoundSettings
from pocketcnn.compression.quantization.settings import QuantizeSettings as QuantizeSettings
