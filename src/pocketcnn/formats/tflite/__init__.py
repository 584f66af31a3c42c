"""TensorFlow Lite files, as LiteRT and its relatives on phones and micro-controllers run them."""

from pocketcnn.formats.tflite.writer import to_tflite as to_tflite
from pocketcnn.formats.tflite.writer import write_tflite as write_tflite
