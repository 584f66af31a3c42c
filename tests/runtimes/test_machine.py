import json
import platform
from dataclasses import asdict

import pytest

from pocketcnn.runtimes import machine
from pocketcnn.runtimes.machine import available_cores, read_cpu_info, this_machine

X86 = """\
processor\t: 0
model name\t: AMD Ryzen 9 7950X 16-Core Processor
flags\t\t: fpu sse4_2 avx avx2 fma avx512f avx512_vnni bogus_avx2

processor\t: 1
model name\t: another name
flags\t\t: fpu
"""
ARM = """\
processor\t: 0
Features\t: fp asimd fphp asimdhp asimddp i8mm
CPU implementer\t: 0x41
CPU part\t: 0xd0b
"""


def test_an_x86_cpu_is_read():
    assert read_cpu_info(X86) == (
        "AMD Ryzen 9 7950X 16-Core Processor",
        ("avx2", "fma", "avx512f", "avx512_vnni"),
    )


def test_an_arm_cpu_is_read():
    assert read_cpu_info(ARM) == ("Arm 0x41 0xd0b", ("asimddp", "i8mm", "fphp"))


def test_nothing_is_made_up_where_nothing_is_told():
    assert read_cpu_info("") == ("", ())


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 16), ("150000 100000", 2), ("50000 100000", 1), ("9900000 100000", 16), ("", 16)],
)
def test_cores_respect_the_quota_of_a_container(quota, cores, tmp_path, monkeypatch):
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    monkeypatch.setattr(machine, "CGROUP_QUOTA", file)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    assert available_cores() == cores


def test_cores_without_a_quota_file(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CGROUP_QUOTA", tmp_path / "absent")
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: {0, 5, 6}, raising=False)
    assert available_cores() == 3


def test_this_machine_is_told_without_its_name():
    told = this_machine()
    assert told.cores >= 1
    assert told.cpu
    assert platform.node() not in json.dumps(asdict(told)) or not platform.node()
    assert told.system.startswith(platform.system())
