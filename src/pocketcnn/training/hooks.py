"""Training hooks of a network's modules (see `pocketcnn.layers.training_hooks`), called at each step."""

from torch import Tensor, nn

from pocketcnn.layers import Regularized, Scheduled


class TrainingHooks:
    """The scheduled and the regularized modules of a network, found once; they must not be replaced during the training."""

    def __init__(self, network: nn.Module) -> None:
        self._scheduled = [module for module in network.modules() if isinstance(module, Scheduled)]
        self._regularized = [module for module in network.modules() if isinstance(module, Regularized)]

    def set_progress(self, progress: float) -> None:
        """Pass the finished share of the training, 0 … 1, to the scheduled modules."""
        for module in self._scheduled:
            module.set_progress(progress)

    def added_to(self, loss: Tensor) -> Tensor:
        """`loss` plus all penalties."""
        return sum((module.penalty() for module in self._regularized), start=loss)

    @property
    def are_final(self) -> bool:
        """Whether all scheduled modules have reached their final form."""
        return all(module.is_final for module in self._scheduled)
