"""Scan of an image folder: disjoint train, val and test splits, and a report of all files that are not plain images."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, get_args

from pocketcnn.data.copies import Twin, findings_of_copies, findings_of_dropped, findings_of_pictures, twins_of
from pocketcnn.data.folder_names import check_class_names, folded, shown, twins
from pocketcnn.data.images import ImageCheck, validate_image
from pocketcnn.data.inventory import Inventory
from pocketcnn.data.layout import LAYOUTS, WHOLE, Candidate, Listing, list_images
from pocketcnn.data.missing_splits import complete_splits
from pocketcnn.data.report import Finding, ImageReport, Kind, Outcome
from pocketcnn.data.split import Item, check_fractions
from pocketcnn.data.threads import Progress, thread_map
from pocketcnn.errors import UsageError
from pocketcnn.graph.contract import ResizePolicy

FRACTIONS = (0.7, 0.15, 0.15)
NAMES_SHOWN = 10


@dataclass(frozen=True)
class DataFolder:
    """A data folder with how it is to be read; functions take it in place of the path.

    `follow_links` also reads what links that lead out of the folder point to. `resize` chooses the resize policy of the input
    contract, which is otherwise inferred from the images.

    Raises:
        UsageError: there is no such resize policy.
    """

    path: Path
    follow_links: bool = False
    resize: ResizePolicy | None = None

    def __post_init__(self) -> None:
        if self.resize not in (None, *get_args(ResizePolicy)):
            raise UsageError(
                f"There is no way {self.resize!r} to fit images to the input; choose {', '.join(get_args(ResizePolicy))}."
            )

    def __str__(self) -> str:
        return str(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    def absolute(self) -> "DataFolder":
        """The same with an absolute path, for other processes."""
        return replace(self, path=self.path.absolute())

    @classmethod
    def of(cls, data: "str | Path | DataFolder") -> "DataFolder":
        """`data` itself, or the path with the default settings."""
        return data if isinstance(data, DataFolder) else cls(Path(data))


class Sample(NamedTuple):
    """One image and the index of its class."""

    path: Path
    label: int


@dataclass(frozen=True)
class ImageFolder:
    """A scanned data folder. `val` is for model selection, `test` for the reported accuracy.

    `fingerprint` is a SHA-256 over relative paths, contents and class names of the images in use; it does not depend on
    the location of the folder.
    """

    root: Path
    classes: tuple[str, ...]
    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    test: tuple[Sample, ...]
    report: ImageReport
    fingerprint: str
    notes: tuple[str, ...]
    split_by_seed: bool = True
    """Whether the splits depend on the seed; False if the folder has all three splits."""

    resize: ResizePolicy | None = None
    """The resize policy that was chosen for the input contract; None infers it from the images."""

    inventory: Inventory | None = None
    """The images as a table, by which a resumed training names what has changed."""

    @property
    def splits(self) -> dict[str, tuple[Sample, ...]]:
        """The three splits by name."""
        return {"train": self.train, "val": self.val, "test": self.test}

    def class_counts(self, split: str) -> tuple[int, ...]:
        """Number of images per class, in the order of `classes`; `split` is ``"train"``, ``"val"`` or ``"test"``."""
        counts = Counter(sample.label for sample in self.splits[split])
        return tuple(counts[label] for label in range(len(self.classes)))


def scan(
    data: str | Path | DataFolder,
    *,
    seed: int = 0,
    fractions: tuple[float, float, float] = FRACTIONS,
    workers: int | None = None,
    progress: Progress | None = None,
    for_evaluation: bool = False,
) -> ImageFolder:
    """Read and check every image of `root` once, and split the images.

    The folder is DATA/CLASS/* (split by `fractions`: train, val, test), or has a train and optional val and test
    folders that contain the classes (missing splits are taken from train or val; `notes` says how). Identical files
    are never in two splits. Class names are sorted as strings. A class of train that val or test
    lack is a note. With `for_evaluation`, one class and few images are enough, and the splits may have any classes.

    Raises:
        UsageError: the folder does not exist, has no images, has only one class, has a class in val or test that train lacks,
            has a class name that cannot be stored, can be read in two ways, or has too few images for three splits.
    """
    check_fractions(fractions)
    source = DataFolder.of(data)
    root = source.path
    listing = list_images(root, follow_links=source.follow_links)
    _check_listing(root, listing, for_evaluation)
    checks = list(thread_map(lambda candidate: validate_image(candidate.path), listing.candidates, workers, progress))
    alike = twins_of(listing.candidates, checks)
    classes, given = _label(root, listing.candidates, checks, alike, 1 if for_evaluation else 2)
    done = complete_splits(given, fractions, seed)
    if not for_evaluation:
        _check_filled(root, classes, done.splits)
    items = sorted(item for part in done.splits.values() for item in part)
    findings = [
        *listing.findings,
        *_findings_of_checks(listing.candidates, checks),
        *findings_of_copies(items, classes),
        *findings_of_pictures(items, alike, classes),
        *findings_of_dropped(done.dropped, items, alike),
    ]
    train, val, test = (
        tuple(Sample(root / item.key, item.label) for item in part) for part in (done.train, done.val, done.test)
    )
    report = ImageReport(len(items), tuple(sorted(findings, key=lambda found: (found.path, found.kind.label))))
    return ImageFolder(
        root=root,
        classes=classes,
        train=train,
        val=val,
        test=test,
        report=report,
        fingerprint=_fingerprint(items, classes),
        notes=(*listing.notes, *done.notes, *_notes(report, classes, done.splits)),
        split_by_seed=not {"val", "test"} <= given.keys(),
        resize=source.resize,
        inventory=Inventory.of(classes, {"train": done.train, "val": done.val, "test": done.test}),
    )


def check_seed(folder: ImageFolder, seed: int | None) -> None:
    """Refuse a seed that would have no effect, because the folder has its own splits.

    Raises:
        UsageError: the folder has its own splits.
    """
    if seed is not None and not folder.split_by_seed:
        raise UsageError(
            f"{folder.root} has its own train, val and test splits, so --seed {seed} has no effect. Leave it out."
        )


def _check_listing(root: Path, listing: Listing, for_evaluation: bool) -> None:
    classes = listing.classes
    base = "train" if any(split != WHOLE for split in classes) else WHOLE
    if base not in classes:
        where = root / base if base else root
        ignored = len(listing.findings)
        links = " To read what its links point to: --follow-links." if _links_out(listing) else ""
        raise UsageError(
            f"{shown(str(where))} has no class folders with images ({ignored} other files).{links} Expected: {LAYOUTS}."
        )
    check_class_names(set().union(*classes.values()))
    if not for_evaluation:
        for split, names in classes.items():
            _check_known(root, split, base, names - classes[base], classes[base] - names)
    if len(classes[base]) == 1 and not for_evaluation:
        raise UsageError(_one_class(root, next(iter(classes[base])), listing.candidates))


def _check_known(root: Path, split: str, base: str, unknown: set[str], absent: set[str]) -> None:
    """Refuse classes that the training images do not have. The other way round is allowed: `_notes` names these classes."""
    if not unknown:
        return
    alike = {folded(name) for name in unknown} & {folded(name) for name in absent}
    folders = [shown(str(root / split / name)) for name in sorted(unknown)[:NAMES_SHOWN]]
    more = f" and {len(unknown) - len(folders)} more" if len(unknown) > len(folders) else ""
    raise UsageError(
        f"There are no training images for the classes of {', '.join(folders)}{more}. Add images to {shown(str(root / base))}, "
        f"or move {'this folder' if len(unknown) == 1 else 'these folders'} away. Only in {base}: {_names(absent)}. "
        f"Only in {split}: {_names(unknown)}."
        + (" The names differ only in case, spaces or Unicode form: rename them." if alike else "")
    )


def _links_out(listing: Listing) -> bool:
    return any(found.kind is Kind.LINK_OUT for found in listing.findings)


def _one_class(root: Path, name: str, candidates: Sequence[Candidate]) -> str:
    depth = 2 if candidates[0].split == WHOLE else 3
    nested = any(candidate.key.count("/") >= depth for candidate in candidates)
    hint = f" If the folders inside {name} are the classes, give the path that ends in {name}." if nested else ""
    return f"{root} has only one class ({name}); a classifier needs two or more.{hint} Expected: {LAYOUTS}."


def _label(
    root: Path, candidates: Sequence[Candidate], checks: Sequence[ImageCheck], alike: Mapping[str, Twin], least: int
) -> tuple[tuple[str, ...], dict[str, tuple[Item, ...]]]:
    """The classes with readable images, and the items of each split in the folder."""
    usable = [(candidate, check) for candidate, check in zip(candidates, checks, strict=True) if check.usable]
    classes = tuple(sorted({candidate.class_name for candidate, _ in usable}))
    if len(classes) < least:
        raise UsageError(
            f"{root} has {len(usable)} readable images in {len(classes)} classes; "
            f"at least {'one class is' if least == 1 else 'two classes are'} needed. "
            f"{_why_unreadable(candidates, checks)}"
        )
    label = {name: index for index, name in enumerate(classes)}
    given: dict[str, list[Item]] = {candidate.split or "train": [] for candidate in candidates}
    for candidate, check in usable:
        picture = alike[candidate.key].digest if candidate.key in alike else ""
        item = Item(candidate.key, label[candidate.class_name], check.digest, picture)
        given[candidate.split or "train"].append(item)
    return classes, {split: tuple(items) for split, items in given.items()}


def _why_unreadable(candidates: Sequence[Candidate], checks: Sequence[ImageCheck]) -> str:
    skipped = [found for found in _findings_of_checks(candidates, checks) if found.kind.outcome is Outcome.SKIPPED]
    return "".join(f"{found.path}: {found.done}. " for found in skipped[:NAMES_SHOWN]).rstrip()


def _check_filled(root: Path, classes: Sequence[str], splits: Mapping[str, Sequence[Item]]) -> None:
    trained = {item.label for item in splits["train"]}
    untrained = [name for label, name in enumerate(classes) if label not in trained]
    if untrained:
        raise UsageError(
            f"There are no training images for {_names(untrained)} in {root}: "
            "the files are unreadable, or copies of files in val, test or another class."
        )
    for split in ("val", "test"):
        if not splits[split]:
            raise UsageError(
                f"{root} has too few images: none is left for {split}. "
                "Each class needs three or more different images, for train, val and test."
            )


def _findings_of_checks(candidates: Sequence[Candidate], checks: Sequence[ImageCheck]) -> Iterator[Finding]:
    mixed = {check.gray for check in checks if check.usable} == {True, False}
    for candidate, check in zip(candidates, checks, strict=True):
        for problem in check.problems:
            yield Finding.of(candidate.key, problem.kind, problem.detail)
        if mixed and check.usable and check.gray:
            yield Finding.of(candidate.key, Kind.GRAYSCALE)


def _notes(report: ImageReport, classes: Sequence[str], splits: Mapping[str, Sequence[Item]]) -> Iterator[str]:
    """Notes that matter for the interpretation of the accuracy."""
    counts = {split: Counter(item.label for item in items) for split, items in splits.items()}
    totals = sum(counts.values(), Counter())
    single = [name for label, name in enumerate(classes) if totals[label] == 1]
    if single:
        yield f"Classes with a single image: {_names(single)}. It is used for training only."
    for split in ("val", "test"):
        absent = [name for label, name in enumerate(classes) if not counts[split][label] and name not in single]
        if absent:
            yield f"Classes without an image in {split}: {_names(absent)}. The accuracy on {split} does not cover them."
    for alike in twins(classes):
        yield f"The classes {_names(alike)} differ only in case, spaces or Unicode form: are they one class?"
    if repeated := report.of(Kind.REPEATED):
        yield f"{len(repeated)} files are copies of files in another split and are used only there."
    if duplicates := report.of(Kind.DUPLICATE):
        yield f"{len(duplicates)} files are copies of others; copies are always in the same split."
    if same := [*report.of(Kind.SAME_PIXELS), *report.of(Kind.NEAR_DUPLICATE)]:
        yield (
            f"{len(same)} files show the picture of another file in other bytes, {len(report.of(Kind.SAME_PIXELS))} of them "
            "with equal pixels; the same pictures are always in the same split."
        )
    if contradictions := report.of(Kind.CONTRADICTION):
        yield f"{len(contradictions)} identical images are in two classes: no network can classify both correctly."


def _fingerprint(items: Iterable[Item], classes: Sequence[str]) -> str:
    total = hashlib.sha256()
    for item in sorted(items):
        total.update(f"{item.key}\0{item.digest}\0{classes[item.label]}\n".encode(errors="surrogateescape"))
    return total.hexdigest()


def _names(names: Iterable[str]) -> str:
    ordered = sorted(map(shown, names))
    listed = ", ".join(ordered[:NAMES_SHOWN]) or "none"
    return f"{listed} and {len(ordered) - NAMES_SHOWN} more" if len(ordered) > NAMES_SHOWN else listed
