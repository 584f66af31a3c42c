import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.errors import UsageError
from pocketcnn.targets import Budget, Limit, Quantity, list_targets


def limits_of(text: str) -> dict[str, float]:
    return {limit.quantity.value: limit.bound for limit in Budget.parse(text).limits}


def test_the_documented_example():
    assert Budget.parse("macs<=50%, size<=300kB, latency<=5ms@onnxruntime-cpu, ram<=256kB").limits == (
        Limit(Quantity.MACS, 0.5, relative=True),
        Limit(Quantity.SIZE, 300e3),
        Limit(Quantity.LATENCY, 0.005, target="onnxruntime-cpu"),
        Limit(Quantity.RAM, 256e3),
    )


@pytest.mark.parametrize(
    ("text", "quantity", "bound"),
    [
        ("size<=512B", "size", 512),
        ("size<=60kB", "size", 60e3),
        ("size<=60KB", "size", 60e3),
        ("size<=60KiB", "size", 60 * 1024),
        ("ram<=1.5mb", "ram", 1.5e6),
        ("ram<=2MiB", "ram", 2 * 2**20),
        ("ram<=.5GB", "ram", 0.5e9),
        ("latency<=250us", "latency", 250e-6),
        ("latency<=250µs", "latency", 250e-6),
        ("latency<=0.3ms", "latency", 0.3e-3),
        ("latency<=1s", "latency", 1),
        ("macs<=50M", "macs", 50e6),
        ("madds<=50m", "macs", 50e6),
        ("MAdds<=1.2G", "macs", 1.2e9),
        ("params<=100k", "params", 100e3),
        ("params<=123456", "params", 123456),
        ("params<=1e5", "params", 1e5),
        ("params≤1E5", "params", 1e5),
        ("  size  <=  60   kB ", "size", 60e3),
        ("size<=12.5%", "size", 0.125),
    ],
)
def test_units_in_any_case(text, quantity, bound):
    assert limits_of(text) == {quantity: bound}


def test_limits_are_separated_by_commas_or_ampersands():
    assert limits_of("size<=1kB&ram<=2kB , macs<=3k") == {"size": 1e3, "ram": 2e3, "macs": 3e3}


def test_latency_has_a_target_of_its_own():
    assert Budget.parse("latency<=5ms").targets == ("onnxruntime-cpu",)
    budget = Budget.parse("latency<=5ms@Torch-CPU, latency<=2ms @ onnxruntime-cpu-all")
    assert budget.targets == ("torch-cpu", "onnxruntime-cpu-all")
    assert len(budget.limits_on(Quantity.LATENCY)) == 2
    assert budget.limits_on(Quantity.SIZE) == ()


def test_a_target_can_be_a_file(tmp_path, monkeypatch):
    (tmp_path / "My.toml").write_text('name = "mine"\nruntime = "torch"\n')
    monkeypatch.chdir(tmp_path)
    assert Budget.parse("latency<=5ms@My.toml, size<=1MB").targets == ("My.toml",)


REFUSED = [  # text, where the caret stands, what is said
    ("size", 4, "Expected <="),
    ("size=4kB", 4, "Expected <="),
    ("size>=4kB", 4, r"Expected <= \(every limit is an upper limit\)"),
    ("size<=", 6, "Expected a number"),
    ("size<=many", 6, "Expected a number"),
    ("size<=-4kB", 6, "Expected a number above zero"),
    ("size<=0kB", 6, "Expected a number above zero"),
    ("macs<=0%", 6, "Expected a number above zero"),
    ("size<=1e999kB", 6, "too large"),
    ("size<=1e9999999999999999999kB", 6, "too large"),
    ("size<=1e-9999999999999999999kB", 6, "above zero|too large"),
    ("size<=nan", 6, "Expected a number"),
    ("size<=1.2.3kB", 6, "Expected a number"),
    ("size<=5", 7, "Expected a unit of size: B, kB, KiB, MB, MiB, GB, GiB, %"),
    ("size<=1,5MB", 7, "Expected a unit of size"),
    ("size<=5ms", 7, "Expected a unit of size"),
    ("latency<=5kB", 10, "Expected a unit of latency: s, ms, us, %"),
    ("macs<=5 apples", 8, "Expected a unit of macs: k, M, G, %, no unit"),
    ("size<=300kB, latncy<=5ms", 13, f"Expected one of {', '.join(Quantity)}. Did you mean latency"),
    ("size<=300kB, colour<=5ms", 13, "Expected one of"),
    ("size<=4kB,", 10, "Expected one of"),
    (", size<=4kB", 0, "Expected one of"),
    ("size<=4kB size<=5kB", 10, "Expected a comma"),
    ("size<=4kB@torch-cpu", 9, "Only latency has a target"),
    ("latency<=5ms@", 13, "Expected the name of a target"),
    ("latency<=5ms@onnxruntine-cpu", 13, "no target named 'onnxruntine-cpu'. Did you mean onnxruntime-cpu"),
    ("latency<=5ms@none.toml", 13, r"Cannot read the target none\.toml"),
    ("size<=4kB, size<=50%", 11, "size is limited twice"),
    ("macs<=4M, madds<=5M", 10, "macs is limited twice"),
    ("latency<=5ms, latency<=4ms@onnxruntime-cpu", 14, "latency on onnxruntime-cpu is limited twice"),
    ("\tsize<=300kB\n&\tlatncy<=5ms", 15, "Did you mean latency"),
]


@pytest.mark.parametrize(("text", "place", "message"), REFUSED)
def test_what_cannot_be_read_is_shown_with_its_place(text, place, message):
    with pytest.raises(UsageError, match=message) as caught:
        Budget.parse(text)
    lines = str(caught.value).splitlines()
    assert lines[1].strip() == " ".join(text.splitlines()).replace("\t", " ").strip()
    assert lines[2].index("^") == 2 + place
    assert "A budget is one or more limits" in str(caught.value)
    assert lines[-1].startswith("Example: ")
    Budget.parse(lines[-1].removeprefix("Example: "))


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_an_empty_budget_shows_the_grammar(text):
    with pytest.raises(UsageError, match=r"The budget is empty\.\nA budget is one or more limits"):
        Budget.parse(text)


@given(st.text(alphabet="sizelatency macsram<=≤0159.e%kKBMGiµus@-,&\n\t²", max_size=40) | st.text(max_size=20))
def test_any_text_is_read_or_refused_for_people(text):
    try:
        budget = Budget.parse(text)
    except UsageError:
        return
    assert Budget.parse(str(budget)) == budget


BOUNDS = st.floats(min_value=1e-300, max_value=1e300) | st.integers(1, 10**12).map(float)


@st.composite
def budgets(draw: st.DrawFn) -> Budget:
    subjects = st.sampled_from(
        [(quantity, None) for quantity in Quantity if quantity is not Quantity.LATENCY]
        + [(Quantity.LATENCY, target) for target in list_targets()]
    )
    chosen = draw(st.lists(subjects, min_size=1, unique=True))
    return Budget(tuple(Limit(quantity, draw(BOUNDS), draw(st.booleans()), target) for quantity, target in chosen))


@given(budgets())
def test_a_budget_is_what_its_text_says(budget):
    assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize(
    "text",
    [
        "macs<=50%, size<=300kB, latency<=5ms@onnxruntime-cpu, ram<=256kB",
        "params<=1.5M",
        "ram<=256KiB",
        "latency<=250us@torch-cpu",
    ],
)
def test_a_budget_prints_as_people_write_it(text):
    assert str(Budget.parse(text)) == text


@pytest.mark.parametrize(
    "fields",
    [
        {"quantity": Quantity.SIZE, "bound": 0.0},
        {"quantity": Quantity.SIZE, "bound": -1.0},
        {"quantity": Quantity.SIZE, "bound": math.inf},
        {"quantity": Quantity.SIZE, "bound": math.nan},
        {"quantity": Quantity.SIZE, "bound": 1.0, "target": "torch-cpu"},
        {"quantity": Quantity.LATENCY, "bound": 1.0},
    ],
)
def test_senseless_limits_are_refused(fields):
    with pytest.raises(UsageError):
        Limit(**fields)


def test_senseless_budgets_are_refused():
    with pytest.raises(UsageError, match="at least one limit"):
        Budget(())
    with pytest.raises(UsageError, match="once"):
        Budget((Limit(Quantity.SIZE, 1.0), Limit(Quantity.SIZE, 2.0)))
