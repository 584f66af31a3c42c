"""`adapt_to_target`: replaces the operations that a target does not support, and recovers the accuracy by fine-tuning."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pocketcnn.callbacks import no_op
from pocketcnn.compression.substitution import Change, KernelReplacement, Substitution, substitute
from pocketcnn.data import DataFolder, ImageFolder, describe, scan
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, Stage
from pocketcnn.graph.model_file import save
from pocketcnn.pipeline.accuracy_check import MAX_LOSS, baseline_of, chance_warnings, format_loss, loss
from pocketcnn.pipeline.compression_run import accuracy, longer
from pocketcnn.pipeline.deploy.checking import check_target
from pocketcnn.pipeline.exclusive import exclusive_beside, writes_to
from pocketcnn.pipeline.recipes import Splits, base_recipe, clipped_for, datasets
from pocketcnn.pipeline.small_sets import batch_size_for, learning_rate_for
from pocketcnn.pipeline.train.evaluate_folder import accuracy_of, baselines_of
from pocketcnn.pipeline.workspace import ProgressFor, Say, Workspace, fingerprint_of, quiet
from pocketcnn.records.baselines import Baselines
from pocketcnn.records.result import Accuracy
from pocketcnn.targets import Target, load_target
from pocketcnn.targets.check import Check
from pocketcnn.training import Recipe, evaluate, threads_for

EPOCHS = 10
LEAST_STEPS = 160
"""Optimizer steps of a recovery whose epochs are not given, at least: small sets get more epochs."""

UNTRAINED = "The network was not trained after layers were replaced: its accuracy is unknown and may be near chance. Give images."


@dataclass(frozen=True)
class Accuracies:
    """Top-1 accuracy on the test images: of the given network, after the substitution, and after recovery."""

    given: Accuracy
    substituted: Accuracy
    recovered: Accuracy


@dataclass(frozen=True)
class AdaptedNetwork:
    """The result of `adapt_to_target`.

    Attributes:
        network: the adapted network.
        changes: the substituted layers.
        left: (layer, reason) of the layers that could not be substituted.
        check: support of the adapted network on the target.
        accuracies: None without images, because nothing is trained then.
        warnings: on lost accuracy, or an accuracy near chance.
        baselines: what the accuracy of the adapted network is compared with; None without images.
    """

    network: GraphNetwork
    changes: tuple[Change, ...]
    left: tuple[tuple[str, str], ...]
    check: Check
    accuracies: Accuracies | None
    warnings: tuple[str, ...] = ()
    baselines: Baselines | None = None

    def as_dict(self) -> dict[str, Any]:
        """The result for JSON, without the network."""
        return {
            "changes": self.changes,
            "left": self.left,
            "test_accuracy": self.accuracies,
            "baselines": self.baselines,
            "warnings": self.warnings,
            **self.check.as_dict(),
        }


@writes_to("out", exclusive_beside)
def adapt_to_target(
    network: GraphNetwork,
    target: str | Target,
    out: str | Path,
    data: str | Path | DataFolder | None = None,
    *,
    epochs: int | None = None,
    seed: int | None = None,
    kernels: KernelReplacement = "pair",
    recipe: Recipe | None = None,
    progress_for: ProgressFor = quiet,
    say: Say = no_op,
) -> AdaptedNetwork:
    """Replace the operations that `target` does not support, fine-tune with `network` as teacher, and save the result.

    Without `data` nothing is trained: the weights of the saved network then still need training. The same call resumes an
    interrupted run.

    Args:
        network: a float network. With `data`, it needs an input contract and classes in `info`, as `load` provides them.
        target: its name, its .toml file, or a `Target`.
        out: the model file (.safetensors) to write.
        data: a folder of images with the same classes.
        epochs: of the recovery; if not given 10, and more for few images.
        seed: of the split of the images; that of the network's training if not given.
        kernels: replacement of a 5x5 depthwise kernel: ``pair`` (two of 3x3) or ``single`` (one of 3x3).
        recipe: replaces the default recipe. Epochs, batch size, learning rate and warm-up are set by the recovery.
        progress_for: creates the progress display of a training from its title.
        say: called with each status message.

    Raises:
        UsageError: the network is quantized, has no input contract, or has other classes; or an option of the training is
            given without `data`.
        Interrupted: Ctrl-C; the work so far is kept.
    """
    device = target if isinstance(target, Target) else load_target(target)
    split_seed = network.info.split_seed if seed is None else seed
    if data is None:
        _check_unused(epochs=epochs, seed=seed, recipe=recipe)
        made = substitute(network, device, kernels=kernels)
        made.network.info = network.info.with_stage(_stage("substituted", device, made, kernels, split_seed))
        untrained = (UNTRAINED,) if made.changes else ()
        return _saved(made, device, Path(out), None, untrained)
    folder = _folder(network, data, split_seed)
    for line in describe(folder, network.info.input):  # type: ignore[arg-type] # `_folder` has checked it
        say(line)
    base = base_recipe(recipe)
    sets = datasets(folder, network.info.input, base.augmentation)  # type: ignore[arg-type]
    with threads_for(*network.graph.input_shape[1:]):
        made = substitute(network, device, sets.calibration(), kernels=kernels)
        given, substituted = accuracy(network, sets.test), accuracy(made.network, sets.test)
        say(
            f"{len(made.changes)} layers substituted: test accuracy {given.top1:.2%} before, {substituted.top1:.2%} after"
        )
        stage = _stage("substituted", device, made, kernels, split_seed)
        figures = {"test_accuracy_before": given.top1, "test_accuracy": substituted.top1}
        info = network.info.with_stage(stage.model_copy(update={"data": folder.fingerprint, "figures": figures}))
        tuned = _recovery(clipped_for(network, base), epochs, len(folder.train), split_seed)
        workspace = _workspace(Path(out), network, device, folder, tuned, kernels, progress_for)
        began = time.monotonic()
        if made.changes:
            workspace.train("recovered", made.network, sets.train, sets.val, tuned, network)
        before = accuracy(network, sets.val)
        if made.changes and loss(before, accuracy(made.network, sets.val)).exceeds(MAX_LOSS):
            say("The substitution cost more accuracy than accepted: fine-tuning for longer")
            workspace.train("recovered, longer", made.network, sets.train, sets.val, longer(tuned), network)
        tested = evaluate(made.network, sets.test)
        recovered, baselines = accuracy_of(tested), baselines_of(tested)
        say(f"recovered: test accuracy {recovered.top1:.2%}, in {time.monotonic() - began:.0f} s")
        made.network.info = info.with_stage(_recovered(tuned, folder, made.network, sets, substituted, recovered))
        warnings = _warnings(before, accuracy(made.network, sets.val), recovered, folder)
        for warning in warnings:
            say(f"WARNING: {warning}")
        result = _saved(made, device, Path(out), Accuracies(given, substituted, recovered), warnings, baselines)
        workspace.clear()
        return result


def _check_unused(**of_recovery: object) -> None:
    """Options of the recovery must not be given without images, because nothing is trained then."""
    given = [name for name, value in of_recovery.items() if value is not None]
    if given:
        raise UsageError(
            f"{', '.join(given)}: only for the recovery of the accuracy, and without images nothing is trained. Give data, "
            "a folder of images, or leave it out."
        )


def _saved(
    made: Substitution,
    target: Target,
    out: Path,
    accuracies: Accuracies | None,
    warnings: tuple[str, ...],
    baselines: Baselines | None = None,
) -> AdaptedNetwork:
    save(out, made.network)
    return AdaptedNetwork(
        made.network, made.changes, made.left, check_target(made.network, target), accuracies, warnings, baselines
    )


def _warnings(before: Accuracy, after: Accuracy, test: Accuracy, folder: ImageFolder) -> tuple[str, ...]:
    """Warnings on the adapted network: `before` and `after` on the validation images, `test` on the test images."""
    chance = baseline_of([sample.label for sample in folder.test])
    found = chance_warnings(test, chance, "The adapted network")
    if not loss(before, after).exceeds(MAX_LOSS):
        return found
    cost = f"The substitution cost {format_loss(before, after)}; at most {100 * MAX_LOSS:g} points are accepted."
    return (*found, f"{cost} To lose less, train longer (--epochs).")


def _folder(network: GraphNetwork, data: str | Path | DataFolder, seed: int) -> ImageFolder:
    if network.info.input is None:
        raise UsageError("This network has no input contract, so images cannot be prepared for it. Save it with one.")
    folder = scan(data, seed=seed)
    if folder.classes != network.info.classes:
        raise UsageError(
            f"The network has the classes {', '.join(network.info.classes)}, "
            f"the folder {data} has {', '.join(folder.classes)}. Train it on these images first."
        )
    return folder


def _recovery(base: Recipe, epochs: int | None, images: int, seed: int) -> Recipe:
    """Half of the usual learning rate, because most weights are already trained."""
    batch = batch_size_for(images, base.batch_size)
    chosen = max(EPOCHS, -(-LEAST_STEPS // max(1, images // batch))) if epochs is None else epochs
    return base.with_(
        epochs=chosen,
        batch_size=batch,
        learning_rate=learning_rate_for(base, batch) / 2,
        warmup_epochs=min(1.0, chosen / 10),
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
