"""The report of an image folder: files that were converted, skipped, ignored or are noteworthy."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

from pocketcnn.data.folder_names import shown

EXAMPLES_SHOWN = 3


class Outcome(StrEnum):
    """What happened to a file."""

    CONVERTED = "converted"  # used after a conversion
    SKIPPED = "skipped"  # an image that is not used
    IGNORED = "ignored"  # not an image of the dataset
    NOTED = "noted"  # used unchanged, but should be inspected


class Kind(Enum):
    """A kind of finding: its name in the report, the outcome, and a description."""

    ANIMATED = ("animated", Outcome.CONVERTED, "only the first of several frames is used")
    ROTATED = ("rotated", Outcome.CONVERTED, "turned upright as its EXIF orientation says")
    SIXTEEN_BIT = ("16-bit", Outcome.CONVERTED, "scaled from 16 to 8 bits a channel")
    CMYK = ("cmyk", Outcome.CONVERTED, "converted from CMYK to RGB")
    COLOUR_SPACE = ("colour space", Outcome.CONVERTED, "converted to RGB")
    PALETTE = ("palette", Outcome.CONVERTED, "palette expanded to RGB")
    TRANSPARENT = ("transparent", Outcome.CONVERTED, "laid on white")
    GRAYSCALE = ("grayscale", Outcome.CONVERTED, "grey among colour images: the grey is repeated in each channel")

    EMPTY_FILE = ("empty file", Outcome.SKIPPED, "the file has no bytes")
    TRUNCATED = ("truncated", Outcome.SKIPPED, "the file ends before the image does")
    UNREADABLE = ("unreadable", Outcome.SKIPPED, "the file cannot be read as an image")
    TOO_LARGE = ("too large", Outcome.SKIPPED, "too large to decode safely: scale it down to use it")
    UNSUPPORTED = ("unsupported", Outcome.SKIPPED, "the format cannot be read: convert it to PNG or JPEG")
    REPEATED = ("repeated", Outcome.SKIPPED, "a copy of an image of another split, used only there")

    HIDDEN = ("hidden", Outcome.IGNORED, "hidden, or left by an operating system, a file server or a tool")
    NOT_AN_IMAGE = ("not an image", Outcome.IGNORED, "its name does not end as an image's does")
    OUTSIDE_CLASS = ("outside a class", Outcome.IGNORED, "an image that lies in no class folder")
    OUTSIDE_SPLIT = ("outside a split", Outcome.IGNORED, "a folder beside train, val and test")
    LINK_OUT = ("link out", Outcome.IGNORED, "a link that leads out of the data folder: --follow-links reads it")
    LINK_LOOP = (
        "link loop",
        Outcome.IGNORED,
        "a link to a folder that was already read, or that contains the data folder",
    )

    DUPLICATE = ("duplicate", Outcome.NOTED, "same bytes as another image of its split")
    SAME_PIXELS = ("same pixels", Outcome.NOTED, "the pixels of another image in other bytes: both are in one split")
    NEAR_DUPLICATE = (
        "near-duplicate",
        Outcome.NOTED,
        "nearly the same picture as another image: both are in one split",
    )
    CONTRADICTION = ("contradiction", Outcome.NOTED, "the same image lies in more than one class")
    TINY = ("tiny", Outcome.NOTED, "a side of one pixel, which shows nothing")
    THIN = (
        "thin",
        Outcome.NOTED,
        "one side is more than 10 times the other, so that little of it is left in the input",
    )
    WARNING = ("warning", Outcome.NOTED, "read, with a warning from the decoder")

    def __init__(self, label: str, outcome: Outcome, meaning: str) -> None:
        self.label = label
        self.outcome = outcome
        self.meaning = meaning


@dataclass(frozen=True)
class Finding:
    """One finding: `path` relative to the data folder with forward slashes, its kind, and a description."""

    path: str
    kind: Kind
    done: str

    @classmethod
    def of(cls, path: str, kind: Kind, detail: str = "") -> "Finding":
        """A finding with the kind's description, followed by `detail` if it is not empty."""
        return cls(shown(path), kind, f"{kind.meaning} ({detail})" if detail else kind.meaning)


@dataclass(frozen=True)
class ImageReport:
    """All findings of one scan, sorted by path, and the number of images in use."""

    used: int
    findings: tuple[Finding, ...] = ()

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Findings per outcome and kind, as ``{"skipped": {"truncated": 2}, …}``; kinds without any are absent."""
        tally = Counter(finding.kind for finding in self.findings)
        return {
            outcome.value: {kind.label: tally[kind] for kind in Kind if kind.outcome is outcome and tally[kind]}
            for outcome in Outcome
        }

    def of(self, kind: Kind) -> tuple[Finding, ...]:
        """The findings of one kind."""
        return tuple(finding for finding in self.findings if finding.kind is kind)

    def summary(self) -> list[str]:
        """Lines of text: the total, then one line per kind that occurs, with a few examples."""
        lines = [f"{self.used} {'image' if self.used == 1 else 'images'} in use"]
        return lines + list(self._kind_lines())

    def to_json(self) -> dict[str, object]:
        """The whole report as plain data for JSON."""
        findings = [
            {"path": f.path, "kind": f.kind.label, "outcome": f.kind.outcome.value, "done": f.done}
            for f in self.findings
        ]
        return {"used": self.used, "counts": self.counts, "findings": findings}

    def _kind_lines(self) -> Iterator[str]:
        for kind in Kind:
            found = self.of(kind)
            if found:
                yield f"{len(found)} {kind.outcome.value}: {kind.label}, {kind.meaning} ({_examples(found)})"


def _examples(findings: Sequence[Finding]) -> str:
    listed = ", ".join(finding.path for finding in findings[:EXAMPLES_SHOWN])
    more = len(findings) - EXAMPLES_SHOWN
    return f"{listed} and {more} more" if more > 0 else listed
