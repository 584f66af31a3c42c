import re

import pytest
from pydantic import ValidationError

from pocketcnn.errors import UsageError
from pocketcnn.runtimes import get_runtime
from pocketcnn.runtimes.machine import available_cores
from pocketcnn.targets import Target, list_targets, load_target
from pocketcnn.targets.limits import DEFAULT_TARGET


@pytest.mark.parametrize("name", list_targets())
def test_every_shipped_target_is_complete(name):
    target = load_target(name)
    assert target.name == name
    assert get_runtime(target.runtime).name == target.runtime
    assert target.note
    assert target.thread_count >= 1


def test_the_shipped_targets():
    assert list_targets() == ("onnxruntime-cpu", "onnxruntime-cpu-all", "torch-cpu", "torch-cpu-all")
    assert DEFAULT_TARGET in list_targets()


def test_one_thread_or_all_cores():
    assert load_target("onnxruntime-cpu").thread_count == 1
    assert load_target("onnxruntime-cpu-all").thread_count == available_cores()


def test_names_in_any_case():
    assert load_target("Torch-CPU") == load_target("torch-cpu")


def test_a_target_from_a_file(tmp_path):
    path = tmp_path / "board.toml"
    path.write_text('name = "board"\nruntime = "onnxruntime"\nthreads = 3\nchannel_multiple = 4\nnumerics = ["int8"]\n')
    target = load_target(path)
    assert (target.thread_count, target.channel_multiple, target.numerics) == (3, 4, ("int8",))
    assert load_target(str(path)) == target


def test_an_unknown_name_gets_the_list_and_a_suggestion():
    with pytest.raises(UsageError, match=r"named 'onxruntime-cpu'\. Did you mean onnxruntime-cpu\? Targets: onnx"):
        load_target("onxruntime-cpu")


GOOD = 'name = "x"\nruntime = "torch"\n'
BAD_FILES = {
    "not TOML": ("name = ", "not valid TOML"),
    "unknown key": (GOOD + "speed = 3\n", "speed: Extra inputs are not permitted.*Its fields are name, runtime"),
    "no name": ('runtime = "torch"\n', "name: Field required"),
    "no such runtime": ('name = "x"\nruntime = "tvm"\n', "runtime: .*no such runtime; there are onnxruntime, torch"),
    "no thread": (GOOD + "threads = 0\n", "threads"),
    "half a thread": (GOOD + "threads = 1.5\n", "threads"),
    "some threads": (GOOD + 'threads = "some"\n', "threads"),
    "true threads": (GOOD + "threads = true\n", "threads"),
    "no numerics": (GOOD + "numerics = []\n", "numerics"),
    "odd numerics": (GOOD + 'numerics = ["int3"]\n', "numerics"),
    "no multiple": (GOOD + "channel_multiple = 0\n", "channel_multiple"),
    "odd name": ('name = "a b"\nruntime = "torch"\n', "name"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_by_the_field(case, tmp_path):
    text, message = BAD_FILES[case]
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(str(path)) + ".*" + message):
        load_target(path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match=r"Cannot read the target .*none\.toml: No such file"):
        load_target(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not a text file"):
        load_target(tmp_path / "binary.toml")
    with pytest.raises(UsageError, match="Cannot read the target"):
        load_target(tmp_path)


def test_a_target_does_not_change():
    with pytest.raises(ValidationError):
        load_target("torch-cpu").threads = 4


def test_a_target_in_code():
    assert Target(name="mine", runtime="torch", threads="all").thread_count == available_cores()
