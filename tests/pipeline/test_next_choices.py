"""What is said of more bytes and more time."""

from hypothesis import given
from hypothesis.strategies import integers, lists, tuples

from pocketcnn.pipeline.deploy.next_choices import WORTH, next_choices
from pocketcnn.pipeline.effort import EFFORTS
from pocketcnn.records.result import Accuracy, ArtefactRecord, StageRecord
from pocketcnn.training import wilson_interval


def of(right: int, images: int = 200) -> Accuracy:
    low, high = wilson_interval(right, images)
    return Accuracy(top1=right / images, low=low, high=high, images=images)


def stage(right: int, weight_bytes: int) -> StageRecord:
    return StageRecord(
        name="trained", validation=of(right), test=of(right), params=1, madds=1, weight_bytes=weight_bytes,
        peak_activation_bytes=1, seconds=0.0,
    )  # fmt: skip


def file_of(right: int, size: int) -> ArtefactRecord:
    return ArtefactRecord(
        file="model.onnx",
        bytes=size,
        numerics="int8",
        sha256="",
        accuracy=of(right),
        validation=of(right),
        confusion=((1,),),
    )


@given(lists(tuples(integers(0, 200), integers(1, 2000)), max_size=6), integers(0, 200), integers(1, 2000))
def test_every_choice_is_larger_and_better_than_the_one_before(
    stages: list[tuple[int, int]], right: int, size: int
) -> None:
    """Also than the file; and what was not measured is never given an accuracy."""
    found = next_choices([stage(*each) for each in stages], file_of(right, size), EFFORTS["low"])
    reached, taken = right / 200, size
    for choice in found[:-1]:
        assert choice.measured
        assert choice.bytes is not None
        assert choice.validation is not None
        assert choice.bytes > taken or (choice.bytes == taken and taken > size)
        assert choice.validation.top1 >= reached + WORTH
        reached, taken = choice.validation.top1, choice.bytes
    assert not found[-1].measured
    assert found[-1].test is None
    assert "not measured" in found[-1].text
    assert ("bytes did not limit it" in found[-1].text) == (len(found) == 1)


def test_what_is_said() -> None:
    first, last = next_choices([stage(122, 900_000)], file_of(100, 250_000), EFFORTS["low"])
    assert first.text.startswith(
        "900 kB: 61.0 % on test, 61.0 % on validation (the stage “trained”, measured in PyTorch"
    )
    assert last.text == "--effort medium (12.5 times the steps of the final training) may give more: not measured"
    assert "largest" in next_choices([], file_of(100, 1), EFFORTS["high"])[0].text
