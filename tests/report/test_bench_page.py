from html.parser import HTMLParser

from pocketcnn.report.bench import cells, render_bench_page
from pocketcnn.runtimes import Latency, Machine, SessionInfo
from pocketcnn.runtimes.cold_start import ColdStart
from pocketcnn.runtimes.parity import Parity
from pocketcnn.runtimes.side_by_side import BenchmarkRow

MACHINE = Machine("a <CPU>", ("avx2",), 4, "Linux 6", "x86_64")


def line(file: str = "net", runtime: str = "onnxruntime", median: float = 2e-3) -> BenchmarkRow:
    session = SessionInfo(runtime, "1.0", 1, {"key": "value"})
    latency = Latency(
        median, median * 0.9, median * 1.5, (median, median), 30, 1, 5, True, (1, 3, 8, 8), session, MACHINE
    )
    return BenchmarkRow(
        file,
        "int8",
        runtime,
        1,
        bytes=41_200,
        latency=latency,
        ratio=1.25,
        ratio_interval=(1.2, 1.3),
        batch=8,
        images_per_second=700.0,
        cold_start=ColdStart(3, 0.3, 0.25, 0.4, 0.1, 0.05, 0.01, 50_000_000, 100_000_000),
        parity=Parity(32, 0.96875, 0.9, 0.125, 0.01, "features.3"),
    )


REFUSED = BenchmarkRow("net", "int8", "torch", 1, reason="torch <only> simulates")


class Structure(HTMLParser):
    """What a browser would have to load or run, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.active: list[str] = []
        self.rows = 0
        self.feed(text)

    def handle_starttag(self, tag: str, _: list) -> None:
        self.rows += tag == "tr"
        if tag in ("script", "link", "img", "iframe"):
            self.active.append(tag)
        if tag not in ("meta", "line"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "line":
            assert self.open.pop() == tag


def test_the_page_is_whole_loads_nothing_and_holds_every_line() -> None:
    text = render_bench_page([line(), line("other"), line(runtime="openvino"), REFUSED], ["A <note>."], MACHINE)
    found = Structure(text)
    assert found.open == []
    assert found.active == []
    assert found.rows == 2 + 4
    assert "torch &lt;only&gt; simulates" in text
    assert "a &lt;CPU&gt;" in text
    assert "A &lt;note&gt;." in text
    for figure in ("2\u00a0ms", "41.2\u00a0kB", "96.9\u00a0%", "from features.3", "1.200 to 1.300", "openvino 1.0"):
        assert figure in text, figure


def test_lines_of_a_network_stand_together() -> None:
    text = render_bench_page([line("a"), line("b"), line("a", "openvino")], [], MACHINE)
    assert text.index('id="n1"') < text.index(">openvino<") < text.index('id="n2"')


def test_a_page_without_a_single_time_is_written_too() -> None:
    assert "torch &lt;only&gt; simulates" in render_bench_page([REFUSED], [], MACHINE)


def test_the_cells_of_a_table() -> None:
    texts = [cell.replace("\u00a0", " ") for cell in cells(line())]
    assert texts == [
        *("2 ms", "1.8 to 3 ms", "1.250", "1.200 to 1.300", "700"),
        *("300 ms (250 to 400 ms)", "100 MB", "50 %", "41.2 kB", "96.9 %", "0.12"),
    ]
    assert set(cells(REFUSED)) == {"\u2013"}
