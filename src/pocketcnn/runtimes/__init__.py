"""Inference runtimes behind one interface: export, run and time a network on each."""

from pocketcnn.runtimes.base import Runtime as Runtime
from pocketcnn.runtimes.base import Session as Session
from pocketcnn.runtimes.base import SessionInfo as SessionInfo
from pocketcnn.runtimes.machine import Machine as Machine
from pocketcnn.runtimes.machine import this_machine as this_machine
from pocketcnn.runtimes.registry import get_runtime as get_runtime
from pocketcnn.runtimes.registry import runtime_names as runtime_names
from pocketcnn.runtimes.timing import Comparison as Comparison
from pocketcnn.runtimes.timing import Latency as Latency
from pocketcnn.runtimes.timing import StopRule as StopRule
from pocketcnn.runtimes.timing import compare as compare
from pocketcnn.runtimes.timing import measure as measure
