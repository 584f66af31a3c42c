"""The steps of NetAdapt as records, and the folder from which an interrupted run resumes."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pocketcnn.documents import as_record, read_record
from pocketcnn.errors import UsageError
from pocketcnn.files import write_text
from pocketcnn.graph import Graph, GraphNetwork, ModelInfo
from pocketcnn.graph.model_file import load, save

WHAT = "history of NetAdapt"
ADVICE = "Remove it to start again."


@dataclass(frozen=True)
class Proposal:
    """One group pruned enough for the step, after short fine-tuning.

    Attributes:
        group: its index among the groups of the network before the step.
        layers: the layers that produce its channels.
        lost, units: how many units it lost, and how many it had.
        resource: what the network then uses.
        accuracy, loss: on held-out images, after the short fine-tuning.
    """

    group: int
    layers: tuple[str, ...]
    lost: int
    units: int
    resource: float
    accuracy: float
    loss: float


@dataclass(frozen=True)
class NetAdaptStep:
    """One step: the target of the resource, all proposals, and the index of the chosen one."""

    number: int
    target: float
    proposals: tuple[Proposal, ...]
    chosen: int

    def __post_init__(self) -> None:
        if not 0 <= self.chosen < len(self.proposals):
            raise ValueError(f"step {self.number} has no proposal {self.chosen}")

    @property
    def best(self) -> Proposal:
        """The chosen proposal."""
        return self.proposals[self.chosen]


@dataclass
class History:
    """The steps so far, in memory and, if there is one, in a folder.

    The folder holds ``history.json``, the network after the last step, and the finished proposals of the current step.
    """

    heading: Mapping[str, Any]
    folder: Path | None = None
    _steps: list[NetAdaptStep] = field(default_factory=list)
    _latest: GraphNetwork | None = None

    @classmethod
    def open(cls, folder: Path | None, graph: Graph, resource: str, settings: Mapping[str, Any]) -> "History":
        """Load the steps from `graph` in `folder`; an empty history if there are none.

        Raises:
            UsageError: the folder holds steps of another network, resource or other settings, or is damaged.
        """
        heading = {"network": _fingerprint(graph), "resource": resource, "settings": json.loads(json.dumps(settings))}
        history = cls(heading, folder)
        if folder is not None and (folder / "history.json").is_file():
            history._steps = _read(folder / "history.json", heading)
        return history

    @property
    def steps(self) -> tuple[NetAdaptStep, ...]:
        return tuple(self._steps)

    def network(self, info: ModelInfo) -> GraphNetwork:
        """The network after the last step; there must be one."""
        if self._latest is not None:
            return self._latest
        assert self.folder is not None
        return GraphNetwork(load(self._file(len(self._steps))).graph, info)

    def finished_proposal(self, group: int, lost: int, info: ModelInfo) -> tuple[Proposal, GraphNetwork] | None:
        """The proposal of the current step in which `group` loses `lost` units, if it is finished."""
        record = self._proposal_folder / f"{group}.json" if self.folder else None
        if record is None or not record.is_file():
            return None
        proposal: Proposal = read_record(record, "proposal of NetAdapt", Proposal, advice=ADVICE)
        if proposal.lost != lost:  # it was made for another bound
            return None
        return proposal, GraphNetwork(load(record.with_suffix(".safetensors")).graph, info)

    def record(self, proposal: Proposal, network: GraphNetwork) -> None:
        """Store a finished proposal of the current step."""
        if self.folder is not None:
            save(self._proposal_folder / f"{proposal.group}.safetensors", GraphNetwork(network.graph))
            write_text(self._proposal_folder / f"{proposal.group}.json", json.dumps(asdict(proposal)) + "\n")

    def add(self, step: NetAdaptStep, network: GraphNetwork) -> None:
        """Store a finished step and its network."""
        self._steps.append(step)
        self._latest = network
        if self.folder is not None:
            save(self._file(step.number), GraphNetwork(network.graph))
            document = {**self.heading, "steps": [asdict(step) for step in self._steps]}
            write_text(self.folder / "history.json", json.dumps(document, indent=1) + "\n")
            self._file(step.number - 1).unlink(missing_ok=True)
            shutil.rmtree(self._proposal_folder_of(step.number), ignore_errors=True)

    @property
    def _proposal_folder(self) -> Path:
        return self._proposal_folder_of(len(self._steps) + 1)

    def _proposal_folder_of(self, number: int) -> Path:
        assert self.folder is not None
        return self.folder / f"proposals of step {number}"

    def _file(self, number: int) -> Path:
        assert self.folder is not None
        return self.folder / f"step {number}.safetensors"


def _read(path: Path, heading: Mapping[str, Any]) -> list[NetAdaptStep]:
    document: dict[str, Any] = read_record(path, WHAT, dict[str, Any], advice=ADVICE)
    try:
        steps: tuple[NetAdaptStep, ...] = as_record(document.get("steps"), tuple[NetAdaptStep, ...])
    except ValueError as error:
        raise UsageError(f"{path} is not a {WHAT}: {error}. {ADVICE}") from error
    stored = {**document, "settings": _with_current_names(document.get("settings"))}
    for name, mine in heading.items():
        theirs = stored.get(name)
        if theirs != mine:
            raise UsageError(f"{path.parent} holds steps with another {name}: {theirs}. Choose another folder.")
    return list(steps)


def _fingerprint(graph: Graph) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(graph.tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


_OLD_SETTINGS = {"most": "max_ratio", "tried": "max_proposals"}


def _with_current_names(settings: Any) -> Any:
    """Stored settings under today's names: earlier versions called some of them otherwise."""
    if not isinstance(settings, dict):
        return settings
    channels = settings.get("channels")
    if isinstance(channels, dict):
        settings = {**settings, "channels": _renamed(channels, {"spread": "allocation"})}
    return _renamed(settings, _OLD_SETTINGS)


def _renamed(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in fields.items()}
