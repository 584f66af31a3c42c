import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from pocketcnn.report import Example, FitResult, write_report
from pocketcnn.report.confusion import SOLID_FROM
from pocketcnn.report.html import render_report
from pocketcnn.report.numbers import NO_BREAK_SPACE

VOID = {"meta", "img", "br", "link", "input", "hr"}
STYLE = Path(render_report.__code__.co_filename).parent / "templates" / "style.css"


class Page(HTMLParser):
    """A page as a reader meets it: elements, attributes, and its text without the style sheet."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.parts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.parts).replace(NO_BREAK_SPACE, " ").split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(params=["met", "missed"])
def page(request: pytest.FixtureRequest) -> Page:
    return Page(render_report(request.getfixturevalue(f"{request.param}_result")))


class TestOneFile:
    def test_it_is_small_and_loads_nothing(self, missed_result: FitResult, tmp_path: Path) -> None:
        write_report(missed_result, tmp_path / "report.html")
        html = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert len(html) < 80_000
        assert not re.search(r"https?://|@import|url\(", html)

    def test_it_has_no_script_and_its_policy_forbids_any(self, page: Page) -> None:
        assert page.all("script") == page.all("link") == page.all("iframe") == []
        assert "default-src 'none'" in str(page.all("meta"))
        assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)

    def test_its_links_lead_to_places_on_the_page(self, page: Page) -> None:
        ids = [str(attributes["id"]) for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert {attributes["href"] for attributes in page.all("a")} <= {f"#{name}" for name in ids}

    def test_examples_are_inside_it(self, met_result: FitResult) -> None:
        examples = [
            Example(Image.new("L", (8, 8), 90), "3", "8", 0.71),
            Example(Image.new("RGBA", (900, 300), (200, 10, 10, 255)), "5", "5"),
        ]
        page = Page(render_report(met_result, images=examples))
        assert all(str(image["src"]).startswith("data:image/png;base64,") for image in page.all("img"))
        assert "✗ 8, is 3 (71.0 %)" in page.text
        assert "✓ 5" in page.text
        assert len(examples[1].data_uri) < 2_000


class TestWhatItSays:
    def test_the_verdict_comes_first(self, met_result: FitResult, missed_result: FitResult) -> None:
        met, missed = (Page(render_report(result)).text for result in (met_result, missed_result))
        order = (
            "Budget met",
            "Notes",
            "small images",
            "Limits",
            "31.3 % to spare",
            "Test accuracy",
            "The network after each stage",
        )
        assert all(met.index(before) < met.index(after) for before, after in pairwise(order))
        assert "Budget not met" not in met
        assert missed.index("✗ Budget not met") < missed.index("Closest miss: size 112 kB, limit 100 kB")

    def test_each_limit_has_bound_value_spread_margin_and_verdict(self, missed_result: FitResult) -> None:
        text = Page(render_report(missed_result)).text
        for words in ("100 kB", "112 kB", "12.3 % over", "1.84 to 2.31 ms", "4.5 % to spare", "401 kB", "11.2 M"):
            assert words in text
        assert text.count("✓ kept") == 2
        assert text.count("✗ missed") == 2
        assert "the 90th percentile, 2.31 ms, is above it" in text

    def test_accuracy_has_its_interval_and_parity_its_figures(self, met_result: FitResult) -> None:
        text = Page(render_report(met_result)).text
        assert "98.6 % 96.8 to 99.4 % (95 % interval) on 360 test images" in text
        assert "100 % same class as in PyTorch on 270 images; 99.6 % same class as before quantization" in text

    def test_every_stage_candidate_latency_and_problem_is_there(self, missed_result: FitResult) -> None:
        text = Page(render_report(missed_result)).text
        names = [stage.name for stage in missed_result.stages] + [
            candidate.name for candidate in missed_result.candidates
        ]
        assert all(name in text for name in names)
        assert "4 more candidates" in text
        assert "25.7 % slower here. It is smaller, not faster." in text
        assert "not converged" in text
        assert all(problem in text for problem in missed_result.data.problems)

    def test_few_classes_get_a_matrix_and_many_the_worst_pairs(
        self, met_result: FitResult, missed_result: FitResult
    ) -> None:
        few, many = (Page(render_report(result)) for result in (met_result, missed_result))
        heat = [attributes for attributes in few.all("table") if attributes.get("class") == "heat"]
        assert len(heat) == 1
        diagonal = [cell for cell in few.all("td") if str(cell.get("class")).startswith("right")]
        assert len(diagonal) == 10
        assert "Confusion matrix on" not in many.text
        assert "The most confused pairs of classes" in many.text

    def test_what_is_not_there_is_left_out(self, met_result: FitResult) -> None:
        faultless = tuple(tuple(36 * (row == column) for column in range(10)) for row in range(10))
        bare = met_result.model_copy(
            update={
                "notes": (),
                "latencies": (),
                "candidates": (),
                "lineage": (),
                "machine": {},
                "stages": met_result.stages[:1],
                "artefact": met_result.artefact.model_copy(update={"confusion": faultless, "numerics": "float32"}),
            }
        )
        text = Page(render_report(bare)).text
        for words in ("Notes", "Candidates", "Latency", "Lineage", "From “train”", "before quantization"):
            assert words not in text
        assert "All test images are classified correctly" in text


class TestForEveryone:
    def test_text_from_the_user_is_escaped(self, met_result: FitResult) -> None:
        hostile = "<script>alert(1)</script>\"'&"
        data = met_result.data.model_copy(
            update={"name": hostile, "classes": (hostile, *met_result.data.classes[1:]), "problems": (hostile,)}
        )
        artefact = met_result.artefact.model_copy(
            update={"confusion": ((30, 6, *[0] * 8), *met_result.artefact.confusion[1:])}
        )
        update = {"data": data, "notes": (hostile,), "command": hostile, "artefact": artefact}
        html = render_report(met_result.model_copy(update=update))
        page = Page(html)
        assert "<script" not in html
        assert page.all("script") == []
        assert page.text.count(hostile) >= 6
        assert f"{hostile}: 6 of 36 predicted as 1" in {cell.get("title") for cell in page.all("td")}

    def test_tables_have_captions_and_charts_words(self, page: Page) -> None:
        assert len(page.all("caption")) == len(page.all("table"))
        assert all(header.get("scope") in ("row", "col") for header in page.all("th"))
        assert all(svg.get("aria-label") or svg.get("aria-hidden") == "true" for svg in page.all("svg"))
        assert [attributes["lang"] for attributes in page.all("html")] == ["en"]

    @pytest.mark.parametrize("palette", [0, 1], ids=["light", "dark"])
    def test_text_contrasts_with_what_lies_under_it(self, palette: int) -> None:
        colours = palettes()[palette]
        texts = ("text", "muted", "accent", "good", "bad", "warn")
        under = {"card": texts, "page": ("text", "muted", "accent"), "good-back": ("text", "good")}
        under |= {"bad-back": ("text", "bad"), "warn-back": ("text", "warn")}
        pairs = [(text, back) for back, fronts in under.items() for text in fronts] + [
            ("card", "accent"),
            ("card", "bad"),
        ]
        low = [pair for pair in pairs if contrast(colours[pair[0]], colours[pair[1]]) < 4.5]  # WCAG 2.2, 1.4.3 (AA)
        assert low == []

    @pytest.mark.parametrize("palette", [0, 1], ids=["light", "dark"])
    @pytest.mark.parametrize("hue", ["accent", "bad"])
    def test_counts_contrast_with_the_strongest_tint_of_their_cell(self, palette: int, hue: str) -> None:
        colours = palettes()[palette]
        (tint,) = re.findall(r"calc\(var\(--strength\) \* (\d+)%\)", STYLE.read_text(encoding="utf-8"))
        cell = mixed(colours[hue], colours["card"], SOLID_FROM * int(tint) / 100)
        assert contrast(colours["text"], cell) >= 4.5


def palettes() -> list[dict[str, str]]:
    """The colours of the style sheet: light, dark, print."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks]


def mixed(colour: str, back: str, share: float) -> str:
    pairs = [(int(colour[start : start + 2], 16), int(back[start : start + 2], 16)) for start in (1, 3, 5)]
    return "#" + "".join(f"{round(share * over + (1 - share) * under):02x}" for over, under in pairs)


def contrast(a: str, b: str) -> float:
    lighter, darker = sorted((luminance(a), luminance(b)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
