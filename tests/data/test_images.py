import functools
import io
import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pocketcnn.data import images
from pocketcnn.data.decoder_warnings import collect_decoder_warnings
from pocketcnn.data.images import UnusableImage, check_image, image_size, load_image, to_8bit_image, validate_image
from pocketcnn.data.report import Kind
from tests.support.image_files import picture, save, write_rgb16_png


def pixel(path, channels=3, at=(0, 0)):
    return np.asarray(load_image(path, channels))[at].tolist()


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "tif", "ppm", "jpg", "gif"])
def test_common_formats_open(tmp_path, suffix):
    path = save(picture(0), tmp_path / f"a.{suffix}")
    assert load_image(path, 3).mode == "RGB"
    assert load_image(path, 1).mode == "L"
    assert validate_image(path).usable


def test_a_plain_image_is_read_as_it_is(tmp_path):
    path = save(picture(1), tmp_path / "a.png")
    assert check_image(path) is None
    assert np.array_equal(np.asarray(load_image(path, 3)), np.asarray(picture(1)))


def test_the_content_decides_the_format_not_the_name(tmp_path):
    path = save(picture(1), tmp_path / "a.jpg", format="PNG")
    assert check_image(path) is None


def test_sixteen_bit_gray_is_scaled_not_clipped(tmp_path):
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    path = save(Image.fromarray(values), tmp_path / "a.png")
    assert check_image(path).kind is Kind.SIXTEEN_BIT
    assert np.asarray(load_image(path, 1)).tolist() == [[0, 1, 128, 255]]


def test_sixteen_bit_values_in_a_pgm_are_scaled(tmp_path):
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 2 1 65535\n" + np.array([256 * 100, 65535], ">u2").tobytes())
    assert check_image(path).kind is Kind.SIXTEEN_BIT
    assert np.asarray(load_image(path, 1)).tolist() == [[100, 255]]


def test_sixteen_bit_colour_is_scaled_and_counted(tmp_path):
    path = write_rgb16_png(tmp_path / "a.png", 40000)
    assert check_image(path).kind is Kind.SIXTEEN_BIT
    assert pixel(path) == [156, 156, 156]


@pytest.mark.parametrize("values", [np.full((2, 2), 0.5, np.float32), np.full((2, 2), 70000, np.int32)])
def test_pixels_without_an_agreed_range_are_skipped_with_the_reason(tmp_path, values):
    problem = check_image(save(Image.fromarray(values), tmp_path / "a.tif"))
    assert problem.kind is Kind.UNSUPPORTED
    assert not problem.usable
    assert "8 or 16 bits" in problem.detail


def test_cmyk_becomes_rgb(tmp_path):
    path = save(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), tmp_path / "a.jpg", quality=100)
    assert check_image(path).kind is Kind.CMYK
    red, green, blue = pixel(path)
    assert red > 200
    assert max(green, blue) < 60


def test_a_palette_with_a_transparent_colour_lies_on_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    path = save(image, tmp_path / "a.png", transparency=0)
    assert {problem.kind for problem in validate_image(path).problems} == {Kind.PALETTE, Kind.TRANSPARENT, Kind.TINY}
    assert pixel(path) == [255, 255, 255]
    assert pixel(path, at=(0, 1)) == [0, 0, 255]


def test_half_transparent_red_on_white_is_pink(tmp_path):
    path = save(Image.new("RGBA", (2, 2), (255, 0, 0, 128)), tmp_path / "a.png")
    assert check_image(path).kind is Kind.TRANSPARENT
    assert pixel(path) == [255, 127, 127]


def test_gray_with_transparency_lies_on_white(tmp_path):
    path = save(Image.new("LA", (2, 2), (0, 0)), tmp_path / "a.png")
    assert check_image(path).kind is Kind.TRANSPARENT
    assert pixel(path, channels=1) == 255
    assert validate_image(path).gray


def test_an_opaque_alpha_channel_is_no_problem(tmp_path):
    path = save(Image.new("RGBA", (2, 2), (255, 0, 0, 255)), tmp_path / "a.png")
    assert check_image(path) is None
    assert pixel(path) == [255, 0, 0]


def test_one_bit_images_are_black_and_white(tmp_path):
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    path = save(image, tmp_path / "a.png")
    assert check_image(path) is None
    assert np.asarray(load_image(path, 1)).tolist() == [[0, 255]]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_of_an_animation_the_first_frame_is_used(tmp_path, suffix):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue")]
    path = save(frames[0], tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    assert Kind.ANIMATED in {problem.kind for problem in validate_image(path).problems}
    red, green, blue = pixel(path)
    assert (red > 240, green < 15, blue < 15) == (True, True, True)


def test_an_animation_with_a_damaged_second_frame_is_used(tmp_path):
    path = save(picture(0), tmp_path / "a.gif", save_all=True, append_images=[picture(1)])
    path.write_bytes(path.read_bytes()[:-100])
    assert validate_image(path).usable
    assert load_image(path, 3).size == (10, 12)


@pytest.mark.parametrize(
    ("orientation", "corner"), [(1, (0, 0)), (2, (0, 2)), (3, (1, 2)), (4, (1, 0)), (6, (0, 1)), (8, (2, 0))]
)
def test_exif_orientation_is_applied(tmp_path, orientation, corner):
    """The white corner of a 2 x 3 image ends where a viewer shows it."""
    image = Image.new("L", (3, 2))
    image.putpixel((0, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(image, tmp_path / "a.png", exif=exif)
    upright = np.asarray(load_image(path, 1))
    assert upright[corner] == 255
    assert upright.sum() == 255
    assert image_size(path) == upright.shape
    problem = check_image(path)
    assert problem is None if orientation == 1 else problem.kind is Kind.ROTATED


def test_standardizing_twice_changes_nothing(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(picture(3).convert("RGBA"), tmp_path / "a.png", exif=exif)
    with Image.open(path) as image:
        once = to_8bit_image(image, 3)
    assert np.array_equal(np.asarray(once), np.asarray(to_8bit_image(once, 3)))


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "tif"])
def test_a_truncated_file_is_skipped(tmp_path, suffix):
    path = save(picture(2, (64, 64)), tmp_path / f"a.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    problem = check_image(path)
    assert problem.kind in (Kind.TRUNCATED, Kind.UNREADABLE)
    assert not problem.usable
    with pytest.raises(UnusableImage, match=r"a\."):
        load_image(path, 3)


def test_a_truncated_jpeg_is_called_so(tmp_path):
    path = save(picture(2, (64, 64)), tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:-500])
    assert check_image(path).kind is Kind.TRUNCATED


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"", Kind.EMPTY_FILE), (b"no image at all", Kind.UNREADABLE), (b"%!PS-Adobe-3.0 EPSF-3.0\n", Kind.UNREADABLE)],
)
def test_files_that_are_no_image_are_skipped(tmp_path, content, kind):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert check_image(path).kind is kind
    assert not validate_image(path).usable


def test_a_missing_file_and_a_folder_are_unreadable(tmp_path):
    assert check_image(tmp_path / "absent.png").kind is Kind.UNREADABLE
    assert check_image(tmp_path).kind is Kind.UNREADABLE


@pytest.mark.parametrize("side", [9_500, 13_500])  # over our limit; over the one at which Pillow itself refuses
def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, side):
    path = save(Image.new("1", (side, side)), tmp_path / "a.png")
    assert path.stat().st_size < 100_000
    problem = check_image(path)
    assert problem.kind is Kind.TOO_LARGE
    assert not problem.usable


def test_an_image_over_the_limit_is_refused_with_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    with pytest.raises(UnusableImage, match="12 x 10 pixels"):
        load_image(save(picture(0, (10, 12)), tmp_path / "a.png"), 3)


def test_an_oversized_file_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 10)
    assert check_image(save(picture(0), tmp_path / "a.png")).kind is Kind.TOO_LARGE


@functools.cache
def valid_file(suffix: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {
        "gif": {"save_all": True, "append_images": [picture(1), picture(2)]},
        "tiff": {"compression": "tiff_lzw"},
    }
    stream = io.BytesIO()
    picture(0).save(stream, format=suffix, **options.get(suffix, {"exif": exif}))
    return stream.getvalue()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(suffix=st.sampled_from(["png", "jpeg", "gif", "tiff", "webp", "bmp"]), data=st.data())
def test_damaged_files_never_raise_and_checking_agrees_with_loading(tmp_path, suffix, data):
    content = bytearray(valid_file(suffix))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=6)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.img"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    if validate_image(path).usable:
        assert load_image(path, 3).mode == "RGB"
    else:
        with pytest.raises(UnusableImage):
            load_image(path, 3)


def tiff_with_warning(path):
    """A TIFF whose EXIF block Pillow complains of while it reads the pixels well."""
    image = picture(0, (4, 4))
    image.save(path, format="TIFF")
    content = bytearray(path.read_bytes())
    entry = content.index(b"\x1c\x01\x03\x00")  # PlanarConfiguration: one short; now two are announced
    content[entry + 4 : entry + 8] = (2).to_bytes(4, "little")
    path.write_bytes(content)
    return path


def test_warnings_of_the_decoder_become_findings(tmp_path):
    path = tiff_with_warning(tmp_path / "a.tif")
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        check = validate_image(path)
        load_image(path, 3)
    assert not shown
    assert check.usable
    assert [problem.kind for problem in check.problems] == [Kind.WARNING]


def test_warnings_go_to_the_thread_that_caused_them_and_filters_are_put_back(tmp_path):
    bad = tiff_with_warning(tmp_path / "bad.tif")
    good = save(picture(1), tmp_path / "good.png")
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        checks = list(pool.map(validate_image, [bad, good] * 20))
    assert {tuple(p.kind for p in check.problems) for check in checks[0::2]} == {(Kind.WARNING,)}
    assert {check.problems for check in checks[1::2]} == {()}
    assert list(warnings.filters) == before


def test_other_warnings_pass_through_the_collector():
    with pytest.warns(UserWarning, match="not of a decoder"), collect_decoder_warnings() as messages:
        warnings.warn("not of a decoder", stacklevel=1)
    assert messages == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_unreadable(tmp_path):
    path = save(picture(0), tmp_path / "a.png")
    path.chmod(0)
    assert check_image(path).kind is Kind.UNREADABLE
