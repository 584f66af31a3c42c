"""Latency prediction: the latency of a network on a target, from measurements of building blocks."""

from pocketcnn.targets.latency.predictor import KernelTime as KernelTime
from pocketcnn.targets.latency.predictor import LatencyPredictor as LatencyPredictor
from pocketcnn.targets.latency.predictor import Prediction as Prediction
from pocketcnn.targets.latency.predictor import load_predictor as load_predictor
from pocketcnn.targets.latency.predictor import predict_latency as predict_latency
from pocketcnn.targets.latency.table import BlockLatency as BlockLatency
from pocketcnn.targets.latency.table import Conditions as Conditions
from pocketcnn.targets.latency.table import LatencyTable as LatencyTable
from pocketcnn.targets.latency.table import default_path as default_path
