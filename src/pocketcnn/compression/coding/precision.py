"""Floating-point numbers with fewer digits: their last bytes become zeros, which take no room in a coded file."""

import torch
from torch import Tensor

from pocketcnn.compression.coding.settings import FLOAT_DIGITS


def rounded(values: Tensor, digits: int) -> Tensor:
    """float32 `values` to the nearest number with `digits` significant binary digits, half to even.

    What is no float32 is returned as it is. Only the significand is rounded, never the range.
    """
    if values.dtype != torch.float32 or digits >= FLOAT_DIGITS:
        return values
    dropped = FLOAT_DIGITS - digits
    bits = values.detach().contiguous().view(torch.int32)
    half_less_one, last_kept = (1 << (dropped - 1)) - 1, (bits >> dropped) & 1
    rounded_bits = (bits + half_less_one + last_kept) & -(1 << dropped)
    result = rounded_bits.view(torch.float32)
    return torch.where(torch.isfinite(result), result, values.detach())
