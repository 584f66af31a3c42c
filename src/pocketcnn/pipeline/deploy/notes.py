"""Notes and warnings for the report: special variants, coding, steps without speedup, and lost accuracy."""

from collections.abc import Sequence

from pocketcnn.graph import ModelInfo
from pocketcnn.pipeline.accuracy_check import baseline, chance_warnings, loss_warnings
from pocketcnn.pipeline.candidates import CandidateNetwork
from pocketcnn.pipeline.compression_method import CompressionMethod
from pocketcnn.pipeline.deploy.deploy import Deployment
from pocketcnn.pipeline.published_network import weights_of
from pocketcnn.records.file_check import FileCheckRecord
from pocketcnn.records.result import DEPLOYED, ArtefactRecord, LatencyRecord, ModelFileRecord, StageRecord
from pocketcnn.targets.units import format_bytes


def notes_on(plan: CandidateNetwork | None, deployment: Deployment) -> tuple[str, ...]:
    """All notes that apply."""
    notes = [small_image_note(plan)] if plan is not None and plan.is_small else []
    notes += weights_notes(deployment.network.info)
    return (*notes, *coding_notes(deployment.model_file, deployment.artefact), *latency_notes(deployment.latencies))


def warnings_on(stages: Sequence[StageRecord], deployment: Deployment, method: CompressionMethod) -> tuple[str, ...]:
    """Warnings: a wrong file, accuracy near chance, and steps that lost more than `method.max_loss`."""
    artefact = deployment.artefact
    return (
        *file_warnings(deployment.check),
        *chance_warnings(artefact.accuracy, baseline(artefact.confusion)),
        *loss_warnings(stages, artefact.validation, method.max_loss),
    )


def file_warnings(check: FileCheckRecord) -> list[str]:
    """A warning on a deployed file that was kept although it is wrong."""
    return [f"{check.words()} It was kept because of --force."] if check.problem else []


def small_image_note(plan: CandidateNetwork) -> str:
    """How the variant for small images differs from the network of the paper."""
    return (
        f"Images of {plan.size[1]}x{plan.size[0]} pixels: {plan.network} is used in its variant for small images. Its first "
        f"strides are 1, so that the total stride is {plan.total_stride} instead of 32, and the layer before the classifier is "
        "scaled by the width."
    )


def weights_notes(info: ModelInfo) -> list[str]:
    """A note on the weights that the training began with, if these were not random."""
    weights = weights_of(info)
    if not weights:
        return []
    return [
        f"The training began with the weights of {weights['source']}: file {weights['file']}, SHA-256 {weights['sha256']}, "
        f"licence: {weights['licence']}."
    ]


def coding_notes(model_file: ModelFileRecord, artefact: ArtefactRecord) -> list[str]:
    """A note on which file is entropy-coded, if one is."""
    if model_file.coding is None:
        return []
    sizes = [format_bytes(size) for size in (model_file.bytes, model_file.plain_bytes, artefact.bytes)]
    return [
        f"{model_file.file} is entropy-coded: {sizes[0]} instead of {sizes[1]}, for storage and transfer; `pocketcnn.load` "
        f"reads it. The deployed {artefact.file} has {sizes[2]} and is not coded, because runtimes do not read coded files."
    ]


def latency_notes(latencies: tuple[LatencyRecord, ...]) -> list[str]:
    """Notes on compared networks that are faster than the deployed file."""
    notes = []
    deployed = {record.target: record for record in latencies if record.artefact == DEPLOYED}
    for record in latencies:
        if record.artefact != DEPLOYED and deployed[record.target].median > record.median:
            ratio = deployed[record.target].median / record.median
            notes.append(
                f"On {record.target} the deployed file takes {ratio:.2f} times as long as {record.artefact}: "
                "it is smaller, but not faster there."
            )
    return notes
