"""Scripts that run a deployed file without pocketcnn: `predict.py` beside it, and the snippet of the report.

Both contain the text of `data/pixels.py`, which also prepares images for training, so that there is one definition of each step.
"""

import ast
import json
from collections.abc import Sequence
from importlib.resources import files
from pprint import pformat

from pocketcnn.graph.contract import InputContract
from pocketcnn.report.runners import RUNNERS

SCRIPT = "predict.py"

INLINE_CLASSES = 20  # with more classes, the snippet reads their names from the sidecar

PACKAGES = {"litert": "ai-edge-litert"}
"""Packages whose names are not those of their runtimes."""


def has_script(runtime: str) -> bool:
    """Whether the runtime can be used from Python without PyTorch."""
    return runtime in RUNNERS


def script(runtime: str, file: str) -> str:
    """`predict.py` for the file of the name `file`, which reads the input contract and the classes from its sidecar.

    It also runs other files with a sidecar (`--model`), so that several exports in one folder share it.
    """
    package = PACKAGES.get(runtime, runtime)
    heading = (
        f'"""Classify images with {file}: python {SCRIPT} picture.jpg\n\n'
        f"Needs NumPy, Pillow and {package}: pip install numpy pillow {package}\n"
        'It prepares images as pocketcnn does, which wrote this file.\n"""\n'
    )
    return f'{heading}\n{_merged("data/pixels.py", "report/runners.py")}\n\n\nif __name__ == "__main__":\n    main({file!r})\n'


def snippet(contract: InputContract, classes: Sequence[str], file: str, sidecar: str) -> str:
    """A script that prints the class of ``image.png``; `file` (ONNX) and `sidecar` are in its folder."""
    names = json.dumps(list(classes), ensure_ascii=False)
    if len(classes) > INLINE_CLASSES:
        names = f'json.loads(Path({_quoted(sidecar)}).read_text(encoding="utf-8"))["classes"]'
    return "\n".join(
        [
            *(["import json", "from pathlib import Path"] if len(classes) > INLINE_CLASSES else []),
            "import onnxruntime",
            _bare("data/pixels.py"),
            "",
            f"contract = {pformat(contract.model_dump(mode='json'), width=100, sort_dicts=False)}",
            'batch = network_input("image.png", contract)  # float32 (1, channels, height, width)',
            f'session = onnxruntime.InferenceSession({_quoted(file)}, providers=["CPUExecutionProvider"])',
            "(logits,) = session.run(None, {session.get_inputs()[0].name: batch})",
            f"classes = {names}",
            "print(classes[int(logits[0].argmax())])",
        ]
    )


def _source(path: str) -> str:
    return files("pocketcnn").joinpath(path).read_text(encoding="utf-8")


def _merged(*paths: str) -> str:
    """The texts of modules one after another, without their docstrings and with all imports first."""
    imports: dict[str, list[str]] = {}
    bodies = []
    for path in paths:
        text = _source(path)
        lines, first = text.splitlines(), True
        for statement in ast.parse(text).body:
            place = range(statement.lineno - 1, statement.end_lineno or statement.lineno)
            is_import = isinstance(statement, ast.Import | ast.ImportFrom)
            if isinstance(statement, ast.Import):
                imports[ast.unparse(statement)] = []
            elif isinstance(statement, ast.ImportFrom) and "pocketcnn" not in str(statement.module):
                imports.setdefault(f"from {statement.module} import ", []).extend(each.name for each in statement.names)
            if is_import or first:
                for at in place:
                    lines[at] = ""
            first = False
        bodies.append("\n".join(lines).strip())
    together = [start + ", ".join(sorted(set(names))) for start, names in imports.items()]
    libraries = [line for line in together if "numpy" in line or "PIL" in line]
    standard = sorted(set(together) - set(libraries), key=lambda line: (line.startswith("from"), line))
    return "\n".join([*standard, "", *libraries, "", "", "\n\n\n".join(bodies)])


def _bare(path: str) -> str:
    """The text of a module without docstrings, comments and annotations."""
    tree = ast.parse(_source(path))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
    typing = [each for each in tree.body if not _is_for_types(each)]
    return ast.unparse(ast.Module(typing, []))


def _is_for_types(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module in ("typing", "collections.abc")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
