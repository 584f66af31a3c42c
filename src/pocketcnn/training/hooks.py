"""What the modules of a network ask of its training (see `pocketcnn.layers.training_hooks`), met at each step."""

from torch import Tensor, nn

from pocketcnn.layers import Regularized, Scheduled


class TrainingHooks:
    """The scheduled and the penalized modules of a network, found once. They must stay in it while it is trained."""

    def __init__(self, network: nn.Module) -> None:
        self._scheduled = [module for module in network.modules() if isinstance(module, Scheduled)]
        self._penalized = [module for module in network.modules() if isinstance(module, Regularized)]

    def set_progress(self, progress: float) -> None:
        """Tell the scheduled modules the share of the training's steps that are done, 0 … 1."""
        for module in self._scheduled:
            module.set_progress(progress)

    def added_to(self, loss: Tensor) -> Tensor:
        """`loss` with all penalties."""
        return sum((module.penalty() for module in self._penalized), start=loss)

    @property
    def are_final(self) -> bool:
        """Whether the network computes what it will compute after the training."""
        return all(module.is_final for module in self._scheduled)
