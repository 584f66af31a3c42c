import re

import pytest
from pydantic import ValidationError

from pocketcnn.errors import UsageError
from pocketcnn.runtimes import get_runtime, runtime_names
from pocketcnn.runtimes.machine import available_cores
from pocketcnn.targets import Budget, Target, list_targets, load_target, measure
from pocketcnn.targets.limits import DEFAULT_TARGET
from pocketcnn.targets.target import target_toml


@pytest.mark.parametrize("name", list_targets())
def test_every_shipped_target_is_complete(name):
    target = load_target(name)
    assert target.name == name
    assert target.runtime is None or get_runtime(target.runtime).name == target.runtime
    assert target.note
    assert target.thread_count >= 1


def test_the_shipped_targets():
    here = {f"{runtime}-cpu{threads}" for runtime in runtime_names() for threads in ("", "-all")}
    elsewhere = {"cortex-m4", "cortex-m7", "cortex-m55", "cortex-a53", "cortex-a76", "dsp-npu"}
    assert set(list_targets()) == here | elsewhere
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
    with pytest.raises(
        UsageError, match=r"named 'onxruntime-cpu'\. Did you mean onnxruntime-cpu\? Targets: cortex-a53"
    ):
        load_target("onxruntime-cpu")


GOOD = 'name = "x"\nruntime = "torch"\n'
BAD_FILES = {
    "not TOML": ("name = ", "not valid TOML"),
    "unknown key": (GOOD + "speed = 3\n", "speed: Extra inputs are not permitted.*Its fields are name, runtime"),
    "no name": ('runtime = "torch"\n', "name: Field required"),
    "unknown runtime": (
        'name = "x"\nruntime = "tvm"\n',
        "runtime: .*unknown runtime; known: .*onnxruntime.*, torch",
    ),
    "no thread": (GOOD + "threads = 0\n", "threads"),
    "half a thread": (GOOD + "threads = 1.5\n", "threads"),
    "some threads": (GOOD + 'threads = "some"\n', "threads"),
    "true threads": (GOOD + "threads = true\n", "threads"),
    "no numerics": (GOOD + "numerics = []\n", "numerics"),
    "odd numerics": (GOOD + 'numerics = ["int3"]\n', "numerics"),
    "no multiple": (GOOD + "channel_multiple = 0\n", "channel_multiple"),
    "not here and no rates": ('name = "x"\n', "needs rates: peak_madds for each of its numerics, and bandwidth"),
    "no size": (GOOD + 'ram = "many"\n', "ram: .*write for example 256kB"),
    "a slow op without a factor": (GOOD + '[[slow]]\nop = "conv2d"\n', "slow.0.factor: Field required"),
    "an op with an odd property": (GOOD + '[[lacks]]\nop = "conv2d"\ncolour = 3\n', "lacks.0.colour"),
    "a rate of nothing": (GOOD + "bandwidth = 0.0\n", "bandwidth"),
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


DEVICE = """
name = "board"
numerics = ["int8"]
ram = "256 KiB"
storage = 1000000
bandwidth = 1e9
peak_madds = { int8 = 2e9 }
lacks = [{ op = "conv2d", kernel = 5, depthwise = true, why = "too large" }]
slow = [{ op = "add", factor = 2 }]
[fallback]
device = "host"
peak_madds = 1e9
bandwidth = 1e9
transfer_bandwidth = 1e8
"""


def test_a_device_that_is_not_here(tmp_path):
    path = tmp_path / "board.toml"
    path.write_text(DEVICE)
    target = load_target(path)
    assert (target.runtime, target.ram, target.storage) == (None, 262144, 1000000)
    assert (target.lacks[0].kernel, target.lacks[0].depthwise, target.lacks[0].grouped) == (5, True, None)
    assert target.fallback.transfer_seconds == 0
    with pytest.raises(UsageError, match="board is not on this machine, so nothing can be measured on it"):
        measure(b"", target)


@pytest.mark.parametrize("name", list_targets())
def test_a_target_written_as_toml_reads_back_equal(name, tmp_path):
    target = load_target(name)
    path = tmp_path / "copy.toml"
    path.write_text(target_toml(target, "two\nlines"))
    assert load_target(path) == target


CALIBRATED_BEFORE = """\
# Rates measured by `pocketcnn target calibrate`; [calibration] says where.
name = "onnxruntime-cpu"
runtime = "onnxruntime"
channel_multiple = 8
numerics = ["float32", "int8"]
bandwidth = 11987654321.5

[peak_madds]
float32 = 51234567890.25
int8 = 183456789012.0

[[lacks]]
op = "hardswish"
why = "no \\"h-swish\\" ä"

[calibration]
cpu = "A CPU"
flags = ["avx2", "fma"]
cores = 2
system = "Linux"
architecture = "x86_64"
runtime = "onnxruntime 1.23"
threads = 1

[calibration.spread]
float32 = [50000000000.0, 52000000000.0]
int8 = [180000000000.0, 184000000000.0]
bandwidth = [11000000000.0, 12000000000.0]
"""
"""As versions before 0.2 wrote it."""


def test_a_file_of_an_earlier_version_reads_and_is_written_alike(tmp_path):
    path = tmp_path / "before.toml"
    path.write_text(CALIBRATED_BEFORE, encoding="utf-8")
    target = load_target(path)
    assert target.calibration.spread["int8"] == (180000000000.0, 184000000000.0)
    assert target.lacks[0].why == 'no "h-swish" ä'
    path.write_text(target_toml(target, "again"), encoding="utf-8")
    assert load_target(path) == target
    for line in ("bandwidth = 11987654321.5", "float32 = 51234567890.25", "[calibration.spread]", "threads = 1"):
        assert line in CALIBRATED_BEFORE.splitlines()
        assert line in path.read_text(encoding="utf-8").splitlines()


def test_the_limits_of_a_device_are_those_of_a_budget_that_sets_none():
    assert str(Budget.parse("latency<=9ms@cortex-m7").with_device_limits()) == (
        "latency<=9ms@cortex-m7, size<=1MB, ram<=320kB"
    )
    own = Budget.parse("latency<=9ms@cortex-m7, ram<=64kB, latency<=9ms@cortex-m4")
    assert str(own.with_device_limits()) == f"{own}, size<=1MB"
    assert Budget.parse("latency<=9ms").with_device_limits() == Budget.parse("latency<=9ms")
    with pytest.raises(
        UsageError, match=r"No single file runs on all targets.*torch-cpu runs float32; cortex-m7 runs int8"
    ):
        Budget.parse("latency<=9ms@torch-cpu, latency<=9ms@cortex-m7").with_device_limits()
