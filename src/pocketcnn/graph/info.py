"""Metadata of a network: input contract, class names, and lineage (how it was trained and compressed)."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pocketcnn.graph.contract import InputContract


class Stage(BaseModel):
    """One entry of a network's lineage: the processing step, its settings, its data, and its results.

    `figures` holds measured results such as ``accuracy_before`` and ``accuracy_after``; `data` is the fingerprint of the
    image folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    name: str
    settings: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = None
    data: str | None = None
    figures: dict[str, float | int | str] = Field(default_factory=dict)


class ModelInfo(BaseModel):
    """Metadata of a network."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    name: str = ""
    input: InputContract | None = None
    classes: tuple[str, ...] = ()
    lineage: tuple[Stage, ...] = ()

    @property
    def split_seed(self) -> int:
        """The seed of the data split in the first training: with it, the test images are unseen by the network."""
        seeds = (stage.seed for stage in self.lineage if stage.data is not None)
        return next((seed for seed in seeds if seed is not None), 0)

    def with_stage(self, stage: Stage) -> "ModelInfo":
        """A copy with `stage` appended to the lineage."""
        return self.model_copy(update={"lineage": (*self.lineage, stage)})
