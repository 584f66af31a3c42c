import subprocess
import sys

import pytest

from pocketcnn.errors import UsageError
from pocketcnn.runtimes import get_runtime, runtime_names


@pytest.mark.parametrize("name", runtime_names())
def test_every_runtime_keeps_the_contract(name):
    runtime = get_runtime(name)
    assert runtime.name == name
    assert runtime.available() is None
    with pytest.raises(UsageError):
        runtime.build(object(), threads=1)


def test_an_unknown_runtime_gets_a_suggestion():
    with pytest.raises(UsageError, match=r"no runtime named 'onnxruntim'\. Did you mean onnxruntime\?"):
        get_runtime("onnxruntim")


def test_naming_runtimes_and_targets_loads_neither_torch_nor_onnxruntime():
    code = (
        "import sys; from pocketcnn.targets import Budget, load_target; Budget.parse('latency<=5ms');"
        "sys.exit(bool({'torch', 'onnxruntime'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
