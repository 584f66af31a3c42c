"""Documents that were damaged, or made to harm: each is a message that names the file, never a traceback."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.documents import LARGEST_SETTINGS, as_record, parse_settings, read_record, read_settings
from pocketcnn.errors import UsageError
from pocketcnn.nas.point_file import load_point
from pocketcnn.nas.spaces.user import space_from_toml
from pocketcnn.targets import load_target
from pocketcnn.training import Recipe
from tests.support.search import Ladder

HARMFUL = {
    "huge integer": "epochs = " + "9" * 5000,
    "integer of 65 bits": f"epochs = {2**64}",
    "infinite": "epochs = inf",
    "not a number": "epochs = nan",
    "overflowing": "epochs = 1e999",
    "deep": "epochs = " + "[" * 2000 + "]" * 2000,
    "deep tables": "[" + ".".join("a" * 3000) + "]\nb = 1",
    "no table": "epochs",
    "twice": "epochs = 1\nepochs = 2",
    "null character": "epochs = \0",
}

READERS = {
    "recipe": Recipe.from_toml,
    "target": load_target,
    "search space": space_from_toml,
    "point": lambda path: load_point(path, Ladder()),
}


@pytest.mark.parametrize("text", HARMFUL.values(), ids=HARMFUL)
@pytest.mark.parametrize("kind", READERS)
def test_harmful_settings_are_an_error_that_names_the_file(tmp_path: Path, kind: str, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"mine\.toml") as error:
        READERS[kind](path)
    assert len(str(error.value)) < 2000


@pytest.mark.parametrize("kind", READERS)
def test_what_is_no_text_or_too_large_or_absent_is_an_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mine.toml"
    with pytest.raises(UsageError, match="Cannot read"):
        READERS[kind](path)
    path.write_bytes(b"name = \xff\xfe")
    with pytest.raises(UsageError, match=r"mine\.toml is not a text file in UTF-8: .* at byte 7"):
        READERS[kind](path)
    path.write_bytes(b"#" * (LARGEST_SETTINGS + 1))
    with pytest.raises(UsageError, match=r"mine\.toml is larger than 1 MB"):
        READERS[kind](path)


@pytest.mark.parametrize(
    "text", ["[1, 2]", '{"a": NaN}', '{"a": Infinity}', '{"a": 1e999}', "{", '{"a": ' + "[" * 5000]
)
def test_harmful_json_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"mine\.json"):
        read_settings(path, "point")


@given(st.text(max_size=200))
def test_any_text_is_settings_or_a_message(text: str) -> None:
    for as_json in (False, True):
        with contextlib.suppress(UsageError):
            assert isinstance(parse_settings(text, "text", as_json=as_json), dict)


@dataclass(frozen=True)
class Step:
    number: int
    names: tuple[str, ...]
    loss: float


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([{"number": 1, "names": ["a"], "loss": 0.5}, {"number": "2", "names": [], "loss": 1}], r"1\.number"),
        ([{"number": True, "names": [], "loss": 1}], r"0\.number"),
        ([{"names": [], "loss": 1}], r"0\.number: Field required"),
        ({"number": 1}, "it: Input should be a valid"),
        (None, "it: Input should be a valid"),
    ],
)
def test_a_record_of_another_form_is_an_error_with_advice(tmp_path: Path, document: object, problem: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=rf"record\.json is not a course: {problem}.*Remove it\."):
        read_record(path, "course", tuple[Step, ...], advice="Remove it.")


def test_a_record_comes_back_as_it_was() -> None:
    steps = (Step(1, ("a", "b"), 0.5), Step(2, (), 1))
    assert as_record([{"number": 1, "names": ["a", "b"], "loss": 0.5}, vars(steps[1])], tuple[Step, ...]) == steps


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["number", "names", "loss"]), inner)
        ),
        max_leaves=8,
    )
)
def test_any_document_is_a_record_or_a_value_error(document: object) -> None:
    try:
        found: tuple[Step, ...] = as_record(document, tuple[Step, ...])
    except ValueError:
        return
    assert all(type(step.number) is int and all(type(name) is str for name in step.names) for step in found)
