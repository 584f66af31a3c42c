"""Each network of the zoo in the form in which it was published: its input, its classes, its accuracy."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pocketcnn.models import list_models, network_options
from pocketcnn.models.published import Published, builder, read_published

NOT_A_FORM = {"classes"}  # an option that says what is classified, not how the network is built


@cache
def nominal_rows() -> Mapping[str, Published]:
    """The first recounted row of each network that has its default options, at full width."""
    rows = [row for row in read_published() if row.params is not None and row.width == 1 and is_default(row)]
    return {name: next(row for row in rows if row.network == name) for name in list_models()}


def is_default(row: Published) -> bool:
    """Whether `create` builds the network of the row without being told more than its classes."""
    if row.network not in list_models():
        return False
    defaults = network_options(row.network)
    return all(defaults[key] == value for key, value in row.options.items() if key not in NOT_A_FORM)


def shape(row: Published) -> tuple[int, int, int]:
    """(C, H, W) of the row's image."""
    return (3, row.side, row.side)


def build(row: Published) -> Any:
    """The network of the row, ready for inference."""
    return builder(row.network, row.width, row.options)().eval()
