"""What holds for every test."""

from pathlib import Path

import pytest
import torch

TESTS = Path(__file__).parent


def pytest_report_header() -> str:
    """Which instructions round: `make numerics` holds them to AVX2."""
    return f"torch {torch.__version__} with kernels for {torch.backends.cpu.get_cpu_capability()}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Weights and masks drawn without a generator of their own do not depend on the tests that ran before."""
    torch.manual_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every test carries its folder as a marker, so that `pytest -m graph` runs an area; slow ones wait to be named."""
    for item in items:
        folder, *below = item.path.relative_to(TESTS).parts
        if below:
            item.add_marker(folder)
    if "slow" in config.getoption("markexpr"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
