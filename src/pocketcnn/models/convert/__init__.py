"""Networks and weights from and to torchvision and timm."""

from .matching import state_by_order as state_by_order
from .with_timm import from_timm as from_timm
from .with_timm import to_timm as to_timm
from .with_torchvision import from_torchvision as from_torchvision
from .with_torchvision import to_torchvision as to_torchvision
