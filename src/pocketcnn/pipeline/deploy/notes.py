"""What a reader of the report should be told in words: what was unusual, and what did not pay."""

from collections.abc import Sequence

from pocketcnn.pipeline.accuracy_check import baseline, chance_warnings, loss_warnings
from pocketcnn.pipeline.candidates import CandidateNetwork
from pocketcnn.pipeline.compression_method import CompressionMethod
from pocketcnn.pipeline.deploy.deploy import Deployment
from pocketcnn.records.result import DEPLOYED, ArtefactRecord, LatencyRecord, ModelFileRecord, StageRecord
from pocketcnn.targets.units import format_bytes


def notes_on(plan: CandidateNetwork | None, delivered: Deployment) -> tuple[str, ...]:
    """All notes that apply."""
    notes = [small_image_note(plan)] if plan is not None and plan.is_small else []
    return (*notes, *coding_notes(delivered.stored, delivered.artefact), *latency_notes(delivered.latencies))


def warnings_on(stages: Sequence[StageRecord], delivered: Deployment, method: CompressionMethod) -> tuple[str, ...]:
    """What must not be overlooked: whether any accuracy is left, and which steps lost more than the method accepts."""
    artefact = delivered.artefact
    return (
        *chance_warnings(artefact.accuracy, baseline(artefact.confusion)),
        *loss_warnings(stages, artefact.validation, method.max_loss),
    )


def small_image_note(plan: CandidateNetwork) -> str:
    """How the network differs from the one in its paper."""
    return (
        f"Images of {plan.size[1]}x{plan.size[0]} pixels: {plan.network} is used in its form for small images. Its first "
        f"strides are left out, so that the last feature map is {plan.total_stride} times smaller than the image instead of "
        "32 times, and the layer before the classifier shrinks with the width."
    )


def coding_notes(stored: ModelFileRecord, artefact: ArtefactRecord) -> list[str]:
    """What is coded and what is not."""
    if stored.coding is None:
        return []
    sizes = [format_bytes(size) for size in (stored.bytes, stored.plain_bytes, artefact.bytes)]
    return [
        f"{stored.file} is coded: {sizes[0]} in place of {sizes[1]}, for storing and sending; `pocketcnn.load` reads it as it "
        f"is. {artefact.file}, which is deployed, has {sizes[2]} and is not coded: runtimes do not read coded files."
    ]


def latency_notes(latencies: tuple[LatencyRecord, ...]) -> list[str]:
    """Steps that were meant to make the network smaller and did not make it faster."""
    notes = []
    deployed = {record.target: record for record in latencies if record.artefact == DEPLOYED}
    for record in latencies:
        if record.artefact != DEPLOYED and deployed[record.target].median > record.median:
            ratio = deployed[record.target].median / record.median
            notes.append(
                f"On {record.target} the deployed file takes {ratio:.2f} times as long as {record.artefact}: "
                "its smaller size is not paid back in time there."
            )
    return notes
