"""Old names of options still work, and say what they are called now."""

import pytest

from pocketcnn.cli.renamed_options import RENAMED, with_current_names
from tests.support.cli import fail, succeed

OLD = [(verb, old, new) for verb, names in RENAMED.items() for old, new in names.items()]


def test_no_old_name_is_dropped_before_its_version_is_over() -> None:
    assert set(OLD) == {
        ("compress", "--spread", "--allocation"),
        ("compress", "--share", "--cluster-bits"),
        ("compress", "--code", "--entropy-code"),
        ("search", "--first-by", "--warm-start"),
    }


@pytest.mark.parametrize(("verb", "old", "new"), OLD)
def test_help_knows_the_new_name_alone(verb: str, old: str, new: str) -> None:
    words = succeed(verb, "--help").stdout.split()
    assert new in words
    assert old not in words


@pytest.mark.parametrize(("verb", "old", "new"), OLD)
def test_the_old_name_is_the_new_one(verb: str, old: str, new: str) -> None:
    arguments, notes = with_current_names(verb, ["photos", old, "3", f"{old}=3", "--json"])
    assert arguments == ["photos", new, "3", f"{new}=3", "--json"]
    assert notes == [f"{old} is now {new}; the old name will be removed in the next version."] * 2


def test_who_writes_an_old_name_is_told() -> None:
    told = fail(
        2, "compress", "absent.safetensors", "photos", "--budget", "macs<=50%", "--out", "out", "--spread", "even"
    )
    assert "--spread is now --allocation" in told
    assert "no allocation 'even'" in told


def test_options_of_other_verbs_are_left_alone() -> None:
    assert with_current_names("fit", ["--code", "x"]) == (["--code", "x"], [])
