"""The graph IR: operations, graph, capture from any `nn.Module`, trainable graph network, model files."""

from pocketcnn.graph.capture.capture import CaptureError as CaptureError
from pocketcnn.graph.capture.capture import capture as capture
from pocketcnn.graph.contract import InputContract as InputContract
from pocketcnn.graph.graph import Graph as Graph
from pocketcnn.graph.info import ModelInfo as ModelInfo
from pocketcnn.graph.info import Stage as Stage
from pocketcnn.graph.network import GraphNetwork as GraphNetwork
from pocketcnn.graph.network import predictions as predictions
from pocketcnn.graph.node import Node as Node
from pocketcnn.graph.node import Shape as Shape
from pocketcnn.graph.numerics import ActivationFormat as ActivationFormat
from pocketcnn.graph.numerics import Numerics as Numerics
from pocketcnn.graph.numerics import WeightFormat as WeightFormat
from pocketcnn.graph.ops import OPS as OPS
from pocketcnn.graph.ops import GraphError as GraphError
from pocketcnn.graph.passes.fold import for_inference as for_inference
