"""Training: a typed recipe, a trainer with exact resume, distillation, and evaluation."""

from pocketcnn.training.batch_norm import recalibrate as recalibrate
from pocketcnn.training.devices import threads_for as threads_for
from pocketcnn.training.evaluate import Evaluation as Evaluation
from pocketcnn.training.evaluate import evaluate as evaluate
from pocketcnn.training.evaluate import predict_logits as predict_logits
from pocketcnn.training.evaluate import wilson_interval as wilson_interval
from pocketcnn.training.history import EpochRecord as EpochRecord
from pocketcnn.training.history import TrainResult as TrainResult
from pocketcnn.training.progress import ConsoleProgress as ConsoleProgress
from pocketcnn.training.progress import Progress as Progress
from pocketcnn.training.progress import QuietProgress as QuietProgress
from pocketcnn.training.recipe import Recipe as Recipe
from pocketcnn.training.rng import drawn_from as drawn_from
from pocketcnn.training.run import NonFiniteLoss as NonFiniteLoss
from pocketcnn.training.trainer import distil as distil
from pocketcnn.training.trainer import train as train
