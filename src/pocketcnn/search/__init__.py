"""Networks found by the machine: search spaces, strategies, the record of a search, and the workers that evaluate points.

`pocketcnn.search(data, budget, out, …)` is the function in `pocketcnn.pipeline.search`. To its users it has the name of this
package, and either may be looked up first: so this package can be called.
"""

import importlib
import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """This package, called like the function that it is known for; it lies above that function and learns of it only then."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return importlib.import_module("pocketcnn.pipeline.search").search(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
