"""What holds for every test."""

import pytest
import torch


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Weights and masks drawn without a generator of their own do not depend on the tests that ran before."""
    torch.manual_seed(0)
