"""What travels with a network besides its graph: the input contract, the class names, and where it comes from."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pocketcnn.graph.contract import InputContract


class Stage(BaseModel):
    """One step of a network's life: what was done, with which settings, on which data, and what came of it.

    `figures` holds measured numbers such as ``accuracy_before`` and ``accuracy_after``; `data` is the fingerprint of the
    images that were used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    name: str
    settings: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = None
    data: str | None = None
    figures: dict[str, float | int | str] = Field(default_factory=dict)


class ModelInfo(BaseModel):
    """Everything about a network that is not its graph."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    name: str = ""
    input: InputContract | None = None
    classes: tuple[str, ...] = ()
    lineage: tuple[Stage, ...] = ()

    @property
    def split_seed(self) -> int:
        """The seed with which the images were split when the network was first trained: its test images are new to it."""
        seeds = (stage.seed for stage in self.lineage if stage.data is not None)
        return next((seed for seed in seeds if seed is not None), 0)

    def with_stage(self, stage: Stage) -> "ModelInfo":
        """The same, one stage older."""
        return self.model_copy(update={"lineage": (*self.lineage, stage)})
