"""What every runtime keeps to, whichever library is behind it."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.runtimes import Runtime, Session, get_runtime, runtime_names
from pocketcnn.runtimes.base import artefact_files
from pocketcnn.runtimes.parity import parity
from pocketcnn.runtimes.registry import RUNTIMES as RUNTIMES_TABLE
from pocketcnn.targets import load_target
from tests.support.runtime_networks import SHAPE, float_network, images, int8_network, network_of

RUNTIMES = runtime_names()
FORMS = [(name, numerics) for name in RUNTIMES for numerics in get_runtime(name).numerics]
every_runtime = pytest.mark.parametrize("name", RUNTIMES)
every_form = pytest.mark.parametrize(("name", "numerics"), FORMS)


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Every runtime's file of every form, by both names."""
    folder = tmp_path_factory.mktemp("artefacts")
    return {
        (name, numerics): get_runtime(name).write(
            network_of(numerics), folder / f"{name}-{numerics}{get_runtime(name).suffix}"
        )
        for name, numerics in FORMS
    }


def built(artefacts: dict[tuple[str, str], Path], name: str, numerics: str = "float32", threads: int = 1) -> Session:
    return get_runtime(name).build(artefacts[name, numerics], threads=threads)


@every_runtime
def test_a_runtime_says_what_it_is(name: str) -> None:
    runtime: Runtime = get_runtime(name)
    assert runtime.name == name
    assert runtime.available() is None
    assert runtime.suffix.startswith(".")
    assert set(runtime.numerics) <= {"float32", "int8"}
    assert "float32" in runtime.numerics


@every_runtime
def test_the_table_of_runtimes_says_what_the_runtime_says(name: str) -> None:
    assert RUNTIMES_TABLE[name].numerics == get_runtime(name).numerics
    targets = {load_target(f"{name}-cpu{threads}") for threads in ("", "-all")}
    assert {(target.runtime, target.numerics) for target in targets} == {(name, get_runtime(name).numerics)}


@every_form
def test_an_artefact_is_whole_and_lies_where_it_was_asked_for(name: str, numerics: str, artefacts) -> None:
    path = artefacts[name, numerics]
    assert path.name == f"{name}-{numerics}{get_runtime(name).suffix}"
    assert all(file.stat().st_size > 0 for file in artefact_files(get_runtime(name), path))
    left = {file.name for file in path.parent.iterdir() if file.name.startswith(f"{name}-{numerics}")}
    assert left == {file.name for file in artefact_files(get_runtime(name), path)}


@every_runtime
def test_float_answers_are_those_of_pytorch(name: str, artefacts) -> None:
    found = parity(float_network(), artefacts[name, "float32"], images(), runtime=name)
    assert found.agreement == 1
    assert found.worst_error < 1e-4


@pytest.mark.parametrize("name", [name for name, numerics in FORMS if numerics == "int8"])
def test_int8_answers_are_those_of_pytorch_but_for_roundings(name: str, artefacts) -> None:
    with torch.inference_mode():
        expected = int8_network()(images())
    found = parity(int8_network(), artefacts[name, "int8"], images(), runtime=name, search=False)
    assert found.agreement >= 0.95
    assert found.worst_error < 0.03 * float(expected.max() - expected.min())


@pytest.mark.parametrize("name", [name for name in RUNTIMES if "int8" not in get_runtime(name).numerics])
def test_numerics_that_a_runtime_does_not_compute_in_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{get_runtime(name).suffix}"
    with pytest.raises(PocketcnnError, match="int8"):
        get_runtime(name).write(int8_network(), path)
    assert list(tmp_path.iterdir()) == []


@every_form
def test_a_batch_gives_what_its_images_give_alone(name: str, numerics: str, artefacts) -> None:
    batch = images(3).numpy()
    with closing(built(artefacts, name, numerics)) as session:
        together = session.run(batch)
        alone = [session.run(batch[index : index + 1]) for index in range(3)]
    assert (together.dtype, together.shape) == (np.float32, (3, 5))
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5 * np.ptp(together))


@every_runtime
def test_an_answer_is_the_callers_to_keep(name: str, artefacts) -> None:
    with closing(built(artefacts, name)) as session:
        first = session.run(images(1).numpy())
        kept = first.copy()
        session.run(-images(1).numpy())
    np.testing.assert_array_equal(first, kept)


@every_runtime
def test_a_read_only_batch_runs_and_is_left_as_it_was(name: str, artefacts) -> None:
    batch = images(1).numpy().copy()
    kept = batch.copy()
    batch.flags.writeable = False
    with closing(built(artefacts, name)) as session:
        session.run(batch)
    np.testing.assert_array_equal(batch, kept)


@every_runtime
@pytest.mark.parametrize("threads", [1, 2])
def test_a_session_says_what_runs(name: str, threads: int, artefacts) -> None:
    with closing(built(artefacts, name, threads=threads)) as session:
        info, shape = session.info, session.input_shape
        with session.active():
            session.run(images(1).numpy())
    assert (info.runtime, info.threads) == (name, threads)
    assert info.version[0].isdigit()
    assert shape is not None
    assert shape[1:] == SHAPE
    json.dumps(dict(info.settings))


@every_runtime
def test_threads_do_not_change_the_answer(name: str, artefacts) -> None:
    batch = images(4).numpy()
    with closing(built(artefacts, name)) as one, closing(built(artefacts, name, threads=2)) as two:
        np.testing.assert_allclose(one.run(batch), two.run(batch), atol=1e-4)


@every_runtime
@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (1, 3, 9, 16), (3, 16, 16)])
def test_a_batch_that_does_not_fit_is_refused_in_one_line(name: str, shape: tuple[int, ...], artefacts) -> None:
    with closing(built(artefacts, name)) as session:
        with pytest.raises(PocketcnnError) as caught:
            session.run(np.zeros(shape, np.float32))
        assert str(shape) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert session.run(images(1).numpy()).shape == (1, 5), "the session goes on"


@every_runtime
def test_no_images_are_no_crash(name: str, artefacts) -> None:
    with closing(built(artefacts, name)) as session:
        try:
            answer = session.run(np.zeros((0, *SHAPE), np.float32))
        except PocketcnnError:
            return
        assert answer.shape == (0, 5)


@every_runtime
def test_a_closed_session_says_so(name: str, artefacts) -> None:
    session = built(artefacts, name)
    session.close()
    session.close()
    with pytest.raises(PocketcnnError, match="closed"):
        session.run(images(1).numpy())


@every_runtime
def test_what_is_no_artefact_is_a_wrong_use(name: str, tmp_path: Path) -> None:
    runtime = get_runtime(name)
    for wrong in (object(), 3, tmp_path, tmp_path / f"missing{runtime.suffix}", str(tmp_path / f"no{runtime.suffix}")):
        with pytest.raises(UsageError):
            runtime.build(wrong, threads=1)


@every_runtime
@pytest.mark.parametrize("damage", ["empty", "other", "half"])
def test_a_damaged_artefact_is_refused(name: str, damage: str, artefacts, tmp_path: Path) -> None:
    whole = artefacts[name, "float32"]
    path = tmp_path / f"model{get_runtime(name).suffix}"
    for file in artefact_files(get_runtime(name), whole):
        data = file.read_bytes()
        contents = {"empty": b"", "other": b"\x89PNG\r\n\x1a\n" + bytes(300), "half": data[: len(data) // 2]}
        (tmp_path / path.with_suffix(file.suffix).name).write_bytes(contents[damage])
    with pytest.raises(PocketcnnError) as caught:
        get_runtime(name).build(path, threads=1)
    assert str(path) in str(caught.value)


WITHOUT_TORCH = """
import sys
import numpy as np
from pocketcnn.runtimes import get_runtime
session = get_runtime(sys.argv[1]).build(sys.argv[2], threads=1)
assert session.run(np.zeros((1, 3, 16, 16), np.float32)).shape == (1, 5)
print([name for name in ("torch", "pocketcnn.graph") if name in sys.modules])
"""
TORCH_BASED = {"torch", "executorch"}
"""Runtimes whose own library imports torch."""


@pytest.mark.parametrize("name", [name for name in RUNTIMES if name not in TORCH_BASED])
def test_a_session_starts_without_torch(name: str, artefacts) -> None:
    """So that a cold start is the runtime's own."""
    command = [sys.executable, "-c", WITHOUT_TORCH, name, str(artefacts[name, "float32"])]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"
