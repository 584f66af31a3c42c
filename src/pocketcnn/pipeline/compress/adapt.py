"""`adapt_to_target`: a trained network in, the same network in operations that a target has out, with its accuracy recovered."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pocketcnn.callbacks import no_op
from pocketcnn.compression.substitution import Change, KernelReplacement, Substitution, substitute
from pocketcnn.data import ImageFolder, scan
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, Stage
from pocketcnn.graph.model_file import save
from pocketcnn.pipeline.accuracy_check import MAX_LOSS, baseline_of, chance_warnings, loss, lost_in_words
from pocketcnn.pipeline.compression_run import accuracy, longer
from pocketcnn.pipeline.deploy.checking import check_target
from pocketcnn.pipeline.recipes import Splits, base_recipe, datasets
from pocketcnn.pipeline.workspace import ProgressFor, Say, Workspace, fingerprint_of, quiet
from pocketcnn.records.result import Accuracy
from pocketcnn.targets import Target, load_target
from pocketcnn.targets.check import Check
from pocketcnn.training import Recipe, threads_for

EPOCHS = 10
SMALLEST_BATCH = 8

UNTRAINED = (
    "Nothing was trained after layers were replaced: the accuracy is not known and may be near chance. Give images."
)


@dataclass(frozen=True)
class Accuracies:
    """Top-1 on the test images: of the network as it was given, right after the substitution, and after recovery."""

    given: Accuracy
    substituted: Accuracy
    recovered: Accuracy


@dataclass(frozen=True)
class AdaptedNetwork:
    """The network made over and what became of it.

    `check` is the target's view of it; `accuracies` is None without images, when nothing was trained. `warnings` say what must
    not be overlooked: accuracy that the substitution cost for good, or that is near chance.
    """

    network: GraphNetwork
    changes: tuple[Change, ...]
    left: tuple[tuple[str, str], ...]
    check: Check
    accuracies: Accuracies | None
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """What became of it, for JSON; the network itself is left out."""
        return {
            "changes": self.changes,
            "left": self.left,
            "test_accuracy": self.accuracies,
            "warnings": self.warnings,
            **self.check.as_dict(),
        }


def adapt_to_target(
    network: GraphNetwork,
    target: str | Target,
    out: str | Path,
    data: str | Path | None = None,
    *,
    epochs: int | None = None,
    seed: int | None = None,
    kernels: KernelReplacement = "pair",
    recipe: Recipe | None = None,
    progress_for: ProgressFor = quiet,
    say: Say = no_op,
) -> AdaptedNetwork:
    """Replace in `network` what `target` lacks, train the result against `network`, and save it as the model file `out`.

    Without `data` nothing is trained: the file has the operations of the target and weights that want training. The same
    call goes on where an earlier one was stopped.

    Args:
        network: a float network; with `data`, with its input contract and classes in `info`, as `load` gives it.
        data: a folder of images with the same classes.
        epochs: of recovery; `EPOCHS` if not given.
        seed: of the split of the images: that of the network's training if not given.
        recipe: replaces the default recipe; epochs, batch, rate and warm-up follow from the recovery.

    Raises:
        UsageError: the network is quantized, lacks its contract, or was trained for other classes; or something is asked of
            a training that there is not without `data`.
        Interrupted: Ctrl-C; the work so far is kept.
    """
    wanted = target if isinstance(target, Target) else load_target(target)
    chosen = network.info.split_seed if seed is None else seed
    if data is None:
        _check_unused(epochs=epochs, seed=seed, recipe=recipe)
        made = substitute(network, wanted, kernels=kernels)
        made.network.info = network.info.with_stage(_stage("substituted", wanted, made, kernels, chosen))
        untrained = (UNTRAINED,) if made.changes else ()
        return _saved(made, wanted, Path(out), None, untrained)
    folder = _folder(network, Path(data), chosen)
    base = base_recipe(recipe)
    sets = datasets(folder, network.info.input, base.augmentation)  # type: ignore[arg-type]
    with threads_for(*network.graph.input_shape[1:]):
        made = substitute(network, wanted, sets.calibration(), kernels=kernels)
        given, substituted = accuracy(network, sets.test), accuracy(made.network, sets.test)
        say(
            f"{len(made.changes)} layers substituted: test accuracy {given.top1:.2%} before, {substituted.top1:.2%} after"
        )
        stage = _stage("substituted", wanted, made, kernels, chosen)
        figures = {"test_accuracy_before": given.top1, "test_accuracy": substituted.top1}
        info = network.info.with_stage(stage.model_copy(update={"data": folder.fingerprint, "figures": figures}))
        tuned = _recovery(base, EPOCHS if epochs is None else epochs, len(folder.train), chosen)
        workspace = _workspace(Path(out), network, wanted, folder, tuned, kernels, progress_for)
        began = time.monotonic()
        if made.changes:
            workspace.train("recovered", made.network, sets.train, sets.val, tuned, network)
        before = accuracy(network, sets.val)
        if made.changes and loss(before, accuracy(made.network, sets.val)).exceeds(MAX_LOSS):
            say("The substitution cost more than is accepted: the network is trained on")
            workspace.train("recovered, longer", made.network, sets.train, sets.val, longer(tuned), network)
        recovered = accuracy(made.network, sets.test)
        say(f"recovered: test accuracy {recovered.top1:.2%}, in {time.monotonic() - began:.0f} s")
        made.network.info = info.with_stage(_recovered(tuned, folder, made.network, sets, substituted, recovered))
        warnings = _warnings(before, accuracy(made.network, sets.val), recovered, folder)
        for warning in warnings:
            say(f"WARNING: {warning}")
        result = _saved(made, wanted, Path(out), Accuracies(given, substituted, recovered), warnings)
        workspace.clear()
        return result


def _check_unused(**of_recovery: object) -> None:
    """Without images there is no recovery, so nothing may be asked of it."""
    given = [name for name, value in of_recovery.items() if value is not None]
    if given:
        raise UsageError(
            f"{', '.join(given)}: that is for the recovery of the accuracy, and nothing is trained without images. Give data, a "
            "folder of images, or leave it out."
        )


def _saved(
    made: Substitution, target: Target, out: Path, accuracies: Accuracies | None, warnings: tuple[str, ...]
) -> AdaptedNetwork:
    save(out, made.network)
    return AdaptedNetwork(
        made.network, made.changes, made.left, check_target(made.network, target), accuracies, warnings
    )


def _warnings(before: Accuracy, after: Accuracy, test: Accuracy, folder: ImageFolder) -> tuple[str, ...]:
    """Of the network made over: `before` and `after` on the validation images, `test` on the test images."""
    chance = baseline_of([sample.label for sample in folder.test])
    found = chance_warnings(test, chance, "The network made over")
    if not loss(before, after).exceeds(MAX_LOSS):
        return found
    cost = f"The substitution cost {lost_in_words(before, after)}; {100 * MAX_LOSS:g} are accepted."
    return (*found, f"{cost} To lose less, train longer (--epochs).")


def _folder(network: GraphNetwork, data: Path, seed: int) -> ImageFolder:
    if network.info.input is None:
        raise UsageError("This network does not say how images become its input. Save it with an input contract.")
    folder = scan(data, seed=seed)
    if folder.classes != network.info.classes:
        raise UsageError(
            f"The network knows the classes {', '.join(network.info.classes)}, "
            f"the folder {data} has {', '.join(folder.classes)}. Train it on these images first."
        )
    return folder


def _recovery(base: Recipe, epochs: int, images: int, seed: int) -> Recipe:
    """Half the usual rate, since most weights are as good as they were."""
    return base.with_(
        epochs=epochs,
        batch_size=min(base.batch_size, max(SMALLEST_BATCH, images // 8)),
        learning_rate=base.learning_rate / 2,
        warmup_epochs=min(1.0, epochs / 10),
        seed=seed,
    )


def _workspace(
    out: Path,
    network: GraphNetwork,
    target: Target,
    folder: ImageFolder,
    recipe: Recipe,
    kernels: KernelReplacement,
    progress_for: ProgressFor,
) -> Workspace:
    settings: dict[str, object] = {"network": fingerprint_of(network), "data": folder.fingerprint, "kernels": kernels}
    settings |= {"target": target.model_dump(mode="json"), "recipe": recipe.model_dump()}
    return Workspace.of(out.parent, settings, progress_for)


def _stage(name: str, target: Target, made: Substitution, kernels: KernelReplacement, seed: int) -> Stage:
    changes = [asdict(change) for change in made.changes]
    settings = {
        "target": target.name,
        "kernels": kernels,
        "changes": changes,
        "left": [list(pair) for pair in made.left],
    }
    return Stage(name=name, settings=settings, seed=seed)


def _recovered(
    recipe: Recipe, folder: ImageFolder, network: GraphNetwork, sets: Splits, before: Accuracy, after: Accuracy
) -> Stage:
    figures: dict[str, float | int | str] = {
        "test_accuracy_before": before.top1,
        "test_accuracy": after.top1,
        "val_accuracy": accuracy(network, sets.val).top1,
    }
    settings = {**recipe.model_dump(mode="json"), "teacher": "the network before the substitution"}
    return Stage(name="recovered", settings=settings, seed=recipe.seed, data=folder.fingerprint, figures=figures)
