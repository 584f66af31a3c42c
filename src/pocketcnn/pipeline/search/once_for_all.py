"""`once_for_all`: one supernet for a folder of images, and a deployable file for each of several budgets.

Steps: train a supernet; measure some sub-networks and fit an accuracy predictor; for each budget, find the best sub-network
by evolutionary search, recalibrate its batch norms, and fine-tune it; then deploy it as `fit` does.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pocketcnn.callbacks import no_op
from pocketcnn.compression.evaluator import absolute
from pocketcnn.data import DataFolder, ImageFolder, describe, infer_contract, scan
from pocketcnn.errors import UsageError
from pocketcnn.files import write_text
from pocketcnn.graph import GraphNetwork, InputContract, ModelInfo
from pocketcnn.nas.supernet.plan import SupernetPlan
from pocketcnn.nas.supernet.predictor import require_predictor
from pocketcnn.nas.supernet.schedule import check_schedule, phases_of
from pocketcnn.nas.supernet.subnetwork import Subnetwork
from pocketcnn.nas.supernet.supernet_file import load_supernet, save_supernet
from pocketcnn.pipeline.compress.shrink import shrink
from pocketcnn.pipeline.compression_run import CompressionRun, accuracy
from pocketcnn.pipeline.deploy.finish import RunConfig, finish
from pocketcnn.pipeline.effort import Effort, load_effort
from pocketcnn.pipeline.exclusive import writes_to
from pocketcnn.pipeline.recipes import SplitsBySize, TrainingRecipes, base_recipe
from pocketcnn.pipeline.search.supernet import (
    FAMILY,
    FoundSubnetwork,
    TrainedSupernet,
    candidate,
    held_out,
    summary,
    supernet_epochs,
    supernet_plan,
    train_and_measure,
    within,
)
from pocketcnn.pipeline.teachers import teacher_for, teachers_of
from pocketcnn.pipeline.workspace import ProgressFor, Say, Workspace, fingerprint_of, quiet
from pocketcnn.records.result import FitResult
from pocketcnn.targets import Budget
from pocketcnn.training import Recipe, threads_for

SUPERNET_FILE = "supernet.safetensors"
RECORD_FILE = "once_for_all.json"


@dataclass(frozen=True)
class OnceForAll:
    """The result of `once_for_all`.

    Attributes:
        results: one for each budget, in the order of the budgets.
        folders: the folder with the files of each result.
        supernet: the file of the supernet, from which the same call takes sub-networks for other budgets.
        correlation: Spearman's rank correlation of predicted and measured accuracies, see `AccuracyPredictor`.
    """

    results: tuple[FitResult, ...]
    folders: tuple[Path, ...]
    supernet: Path
    correlation: float | None


@writes_to("out")
def once_for_all(
    data: str | Path | DataFolder,
    budgets: str | Budget | Sequence[str | Budget],
    out: str | Path,
    *,
    effort: str | Effort = "low",
    seed: int = 0,
    schedule: str = "progressive",
    fine_tune: bool = True,
    plan: SupernetPlan | None = None,
    recipe: Recipe | None = None,
    teachers: Sequence[GraphNetwork] = (),
    progress_for: ProgressFor = quiet,
    say: Say = no_op,
    command: str = "",
    force: bool = False,
) -> OnceForAll:
    """Train one supernet on the images in `data`, and write a network for each budget.

    The files are those of `fit`: in `out` for one budget, in a folder of `out` for each of several. `out` also contains the
    trained supernet and `once_for_all.json`, the record of the measurements. The same call resumes an interrupted run. With
    other budgets, it takes their networks from the existing supernet without training it again.

    Args:
        data: a folder of images, see `pocketcnn.data.scan`.
        budgets: one or several. Percentages refer to the largest sub-network.
        out: the folder for the results.
        effort: the amount of training and search, see `SupernetEffort`.
        seed: of the split of the images and of all trainings.
        schedule: ``progressive`` (once-for-all) or ``at-once`` (BigNAS).
        fine_tune: fine-tune each sub-network briefly, with the largest one as teacher.
        plan: the supernet; derived from the images and budgets if not given.
        recipe: replaces the default recipe of all trainings.
        teachers: trained networks with the same classes: further teachers of every training.
        progress_for: creates the progress display of a training from its title.
        say: called with each status message.
        command: the command line, for the report.
        force: keep a deployable file that does not compute what the network computes, with a warning in the result.

    Raises:
        UsageError: the folder, a budget or a name is wrong, or `out` contains a supernet with other settings.
        MissingExtra: scikit-learn is not installed.
        Interrupted: Ctrl-C; the work so far is kept.
    """
    started = time.monotonic()
    requested = [_budget(budget) for budget in ([budgets] if isinstance(budgets, str | Budget) else budgets)]
    if not requested or len(set(map(str, requested))) < len(requested):
        raise UsageError("Give at least one budget, and no budget twice.")
    check_schedule(schedule)
    require_predictor()
    size, out, base = load_effort(effort), Path(out), base_recipe(recipe)
    folder = scan(data, seed=seed)
    contract = infer_contract(folder)
    for line in describe(folder, contract):
        say(line)
    teachers_for = teachers_of(teachers, folder.classes)
    teachers_for(contract)  # raises if a teacher has other images or classes
    trainings = TrainingRecipes(size, len(folder.train), seed, base)
    settings: dict[str, object] = {
        "data": folder.fingerprint,
        **({"resize": folder.resize} if folder.resize else {}),
        "seed": seed,
        "schedule": schedule,
        "plan": plan and plan.as_dict(),
        "steps": size.supernet.steps,
        "min_epochs": size.min_epochs,
        "subnetworks": size.supernet.subnetworks,
        "recipe": trainings.base.model_dump(mode="json"),
        "teachers": [fingerprint_of(teacher) for teacher in teachers],
    }
    settings = json.loads(json.dumps(settings))  # the same types as after reading a file
    job = _Run(folder, contract, trainings, SplitsBySize(folder, contract, trainings.base.augmentation), out, say)
    with threads_for(contract.height, contract.width):
        path = out / SUPERNET_FILE
        if not path.is_file():
            chosen = plan or supernet_plan(contract, len(folder.classes), requested)
            workspace = Workspace.of(out, {**settings, "plan": chosen.as_dict()}, progress_for, teachers_for)
            job.train(chosen, schedule, settings, workspace)
        known = job.known(settings)
        say(summary(known))
        results, folders, entries = [], [], []
        for budget in requested:
            folders.append(out if len(requested) == 1 else out / folder_name(budget))
            own = {**settings, "budget": str(budget), "effort": asdict(size), "fine_tune": fine_tune}
            specialization = _Specialization(
                job, known, Workspace.of(folders[-1], own, progress_for, teachers_for), schedule, fine_tune
            )
            config = RunConfig(budget, folder, folders[-1], seed, command, started, force)
            result, subnetwork = specialization.deploy(config)
            results.append(result)
            entries.append({"budget": str(budget), "met": result.met, **_entry(subnetwork)})
        write_text(out / RECORD_FILE, json.dumps(job.record(known, schedule, entries), indent=1) + "\n")
    return OnceForAll(tuple(results), tuple(folders), out / SUPERNET_FILE, known.predictor.correlation)


def folder_name(budget: Budget) -> str:
    """The folder name of a budget: ``size-60kB_latency-1ms@onnxruntime-cpu``."""
    return re.sub(r"[^\w.@%-]+", "_", str(budget).replace("<=", "-")).strip("_")


def _budget(budget: str | Budget) -> Budget:
    return (budget if isinstance(budget, Budget) else Budget.parse(budget)).with_device_limits()


def _entry(found: FoundSubnetwork | None) -> dict[str, Any]:
    if found is None:
        return {"choice": None}
    return {"choice": found.choice.as_dict(), "predicted": found.predicted, "accuracy": found.accuracy}


@dataclass(frozen=True)
class _Run:
    """The inputs that all budgets share."""

    folder: ImageFolder
    contract: InputContract
    trainings: TrainingRecipes
    sets: SplitsBySize
    out: Path
    say: Say

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(name=FAMILY, input=self.contract, classes=self.folder.classes)

    def train(self, plan: SupernetPlan, schedule: str, settings: Mapping[str, object], workspace: Workspace) -> None:
        """Train the supernet of `plan`, measure some of its sub-networks, and save it in `out`.

        Raises:
            UsageError: the plan has other images or classes than the folder.
        """
        contract, classes = self.contract, len(self.folder.classes)
        planned = (plan.in_channels, *plan.sizes[0], plan.classes)
        if planned != (*contract.shape, classes):
            raise UsageError(
                f"The supernet is for {plan.classes} classes and images of {planned[:3]} (channels, height, width); the folder "
                f"has {classes} classes and images of {contract.shape}."
            )
        sets = self.sets.at((contract.height, contract.width))
        known = train_and_measure(plan, schedule, sets, self.trainings, workspace, self.say)
        listed = [[choice.as_dict(), accuracy] for choice, accuracy in known.samples]
        save_supernet(self.out / SUPERNET_FILE, known.supernet, {"settings": settings, "samples": listed})
        workspace.clear()

    def known(self, settings: Mapping[str, object]) -> TrainedSupernet:
        """The trained supernet in `out`, with its measured sub-networks.

        Raises:
            UsageError: it was trained with other settings.
        """
        path = self.out / SUPERNET_FILE
        saved = load_supernet(path)
        if saved.notes["settings"] != settings:
            raise UsageError(
                f"{path} contains a supernet that was trained on other images or with other settings. Choose another folder, or "
                "remove that file."
            )
        samples = tuple((Subnetwork.from_dict(choice), accuracy) for choice, accuracy in saved.notes["samples"])
        sets = self.sets.at((self.contract.height, self.contract.width))
        return TrainedSupernet(saved.supernet, samples, held_out(sets), self.trainings.seed)

    def record(self, known: TrainedSupernet, schedule: str, budgets: list[dict[str, Any]]) -> dict[str, Any]:
        """The contents of `once_for_all.json`."""
        plan = known.supernet.plan
        return {
            "plan": plan.as_dict(),
            "schedule": schedule,
            "phases": [asdict(phase) for phase in phases_of(schedule, plan)],
            "epochs": supernet_epochs(plan, schedule, self.trainings),
            "rank_correlation": known.predictor.correlation,
            "samples": [{"choice": choice.as_dict(), "accuracy": accuracy} for choice, accuracy in known.samples],
            "budgets": budgets,
        }


@dataclass(frozen=True)
class _Specialization:
    """The specialization of the supernet to one budget."""

    job: _Run
    known: TrainedSupernet
    workspace: Workspace
    schedule: str
    fine_tune: bool

    def deploy(self, config: RunConfig) -> tuple[FitResult, FoundSubnetwork | None]:
        """The result, and the sub-network; None if no sub-network keeps the budget and the smallest one was pruned."""
        job, plan, began = self.job, self.known.supernet.plan, time.monotonic()
        teacher = self.known.largest(job.info)
        budget = self.workspace.budget(
            f"{config.budget} of the supernet", lambda: absolute(config.budget, teacher.graph)
        )
        finalists = self.known.best(within(plan, budget), job.trainings.effort.supernet)
        best = finalists[0] if finalists else None
        choice = best.choice if best else plan.smallest
        job.say(
            f"{config.budget}: {choice}" if best else f"{config.budget}: no sub-network keeps it; pruning the smallest"
        )
        sets = job.sets.at(choice.size)
        info = ModelInfo(name=FAMILY, input=sets.val.contract, classes=job.folder.classes)
        network = self.known.network(choice, sets, info)
        run = CompressionRun(sets, budget, job.trainings, self.workspace, job.say, job.folder.fingerprint)
        settings: dict[str, object] = {"choice": choice.as_dict(), "width": plan.width, "schedule": self.schedule}
        run.record(
            "sub-network", network, settings=settings, seconds=time.monotonic() - began, note="without fine-tuning"
        )
        if self.fine_tune:
            network = self._tuned(network, teacher, run)
        epochs = supernet_epochs(plan, self.schedule, job.trainings)
        candidates = [
            candidate(plan, number, found, epochs, chosen=found is best)
            for number, found in enumerate(finalists, start=1)
        ]
        return finish(network, run, config, shrink, candidates), best

    def _tuned(self, network: GraphNetwork, teacher: GraphNetwork, run: CompressionRun) -> GraphNetwork:
        """`network`, fine-tuned with the largest one as teacher; unchanged if that lowers its validation accuracy."""
        began, recipe, before = time.monotonic(), run.trainings.recovery(), accuracy(network, run.sets.val).top1
        tuned = GraphNetwork(network.graph, network.info)
        contract, classes = run.sets.val.contract, self.job.folder.classes
        largest = teacher_for(teacher, self.job.contract, classes, contract, classes, FAMILY)
        run.train("sub-network, fine-tuned", tuned, recipe, largest)
        if accuracy(tuned, run.sets.val).top1 < before:
            run.say("Fine-tuning did not improve the sub-network; the weights of the supernet are kept")
            return network
        run.record(
            "fine-tuned",
            tuned,
            settings={"recipe": recipe.model_dump(mode="json")},
            seconds=time.monotonic() - began,
            note="the largest sub-network as teacher",
        )
        return tuned
