"""TensorFlow Lite files, for LiteRT on phones and TensorFlow Lite Micro on microcontrollers."""

from pocketcnn.formats.tflite.writer import to_tflite as to_tflite
from pocketcnn.formats.tflite.writer import write_tflite as write_tflite
