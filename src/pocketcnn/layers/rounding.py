"""Channel counts under a width multiplier."""


def make_divisible(value: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `value`, at least `divisor`, and never below 90 % of `value`.

    The rule of MobileNetV2's and V3's reference code (`_make_divisible` of TensorFlow-Slim's mobilenet.py).
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * value else rounded + divisor
