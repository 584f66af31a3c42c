import numpy as np
import pytest
from PIL import Image

from pocketcnn.data import DataFolder, ImageDataset, images, infer_contract, load_image, scan, to_pixels
from pocketcnn.data.contract import contract_notes, native_size, resize_policy
from pocketcnn.data.images import check_image, validate_image
from pocketcnn.data.pixels import known_formats, network_input
from pocketcnn.data.report import Kind
from pocketcnn.errors import UsageError
from pocketcnn.graph.contract import InputContract
from pocketcnn.report.contract import steps
from tests.support.image_files import fill, picture, save


def folder_of(root, sizes, channels=3):
    """Two classes with one image for each (height, width)."""
    for label in ("a", "b"):
        for number, size in enumerate(sizes):
            save(picture(1000 * ord(label) + number, size, channels), root / label / f"{number:03d}.png")
    return scan(root)


def test_small_images_keep_their_size(tmp_path):
    contract = infer_contract(folder_of(tmp_path, [(8, 8)] * 6))
    assert (contract.shape, contract.resize) == ((3, 8, 8), "stretch")


def test_large_images_come_down_to_224_on_the_longer_side(tmp_path):
    contract = infer_contract(folder_of(tmp_path, [(300, 400)] * 4))
    assert (contract.height, contract.width, contract.resize) == (168, 224, "stretch")


def test_mixed_aspect_ratios_are_cropped_to_a_square(tmp_path):
    contract = infer_contract(folder_of(tmp_path, [(20, 40), (40, 20), (30, 30), (20, 60), (50, 20)]))
    assert (contract.height, contract.width, contract.resize) == (20, 20, "crop")


@pytest.mark.parametrize(("size", "expected"), [(16, (16, 16)), ((12, 18), (12, 18))])
def test_a_size_that_is_asked_for_is_taken(tmp_path, size, expected):
    contract = infer_contract(folder_of(tmp_path, [(8, 9)] * 3), size=size)
    assert (contract.height, contract.width) == expected


@pytest.mark.parametrize("size", [0, (8, 9000), -3])
def test_impossible_sizes_are_refused(tmp_path, size):
    with pytest.raises(UsageError, match="from 1 to 8192"):
        infer_contract(folder_of(tmp_path, [(8, 8)] * 3), size=size)


def test_gray_images_need_one_channel_however_they_are_stored(tmp_path):
    assert infer_contract(folder_of(tmp_path / "gray", [(8, 8)] * 4, channels=1)).channels == 1
    for label in ("a", "b"):
        for number in range(4):
            gray = picture(100 * ord(label) + number, (8, 8), 1)
            save(gray.convert("RGB"), tmp_path / "rgb" / label / f"{number}.png")
    contract = infer_contract(scan(tmp_path / "rgb"))
    assert contract.channels == len(contract.mean) == 1


def test_one_colour_image_asks_for_three_channels(tmp_path):
    fill(tmp_path / "a", 6, 0, channels=1)
    fill(tmp_path / "b", 6, 50, channels=3)
    assert infer_contract(scan(tmp_path)).channels == 3


def test_channels_that_are_asked_for_are_taken(tmp_path):
    colour = folder_of(tmp_path / "colour", [(8, 8)] * 4)
    assert infer_contract(colour, channels=1).channels == 1
    gray = folder_of(tmp_path / "gray", [(8, 8)] * 4, channels=1)
    contract = infer_contract(gray, channels=3)
    assert contract.channels == 3
    assert contract.mean[0] == contract.mean[1] == contract.mean[2]


@pytest.mark.parametrize("channels", [1, 3])
def test_mean_and_std_are_those_of_the_training_pixels(tmp_path, channels):
    folder = folder_of(tmp_path, [(9, 8)] * 10)
    contract = infer_contract(folder, channels=channels)
    pixels = np.stack([to_pixels(load_image(sample.path, channels), contract) for sample in folder.train]) / 255
    assert contract.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)), abs=1e-4)
    assert contract.std == pytest.approx(pixels.std(axis=(0, 1, 2)), abs=1e-4)


def test_constant_images_get_a_usable_std(tmp_path):
    for number, label in enumerate(("a", "b")):
        for shade in range(3):
            save(Image.new("L", (4 + shade, 4 + number)), tmp_path / label / f"{shade}.png")
    contract = infer_contract(scan(tmp_path), size=4)
    assert contract.std == (round(1 / 255, 4),)


def test_the_median_decides_size_and_outliers_do_not_decide_the_policy():
    sizes = np.array([[100.0, 100.0]] * 97 + [[10.0, 300.0]] * 3)
    assert resize_policy(sizes) == "stretch"
    assert native_size(sizes, "stretch") == (100, 100)
    assert resize_policy(np.array([[100.0, 100.0]] * 9 + [[100.0, 150.0]])) == "crop"


@pytest.mark.parametrize("policy", ["crop", "letterbox", "stretch"])
def test_a_chosen_resize_policy_is_that_of_the_contract_and_oblong_images_are_noted(tmp_path, policy):
    for number, name in enumerate(("a", "b")):
        for each in range(4):
            save(picture(10 * number + each, (20, 80)), tmp_path / name / f"{each}.png")
    folder = scan(DataFolder(tmp_path, resize=policy))
    contract = infer_contract(folder, 32)
    assert contract.resize == policy
    (note,) = contract_notes(folder, contract)
    assert f"--fit {policy}" in note
    assert "100%" in note
    assert not contract_notes(folder, infer_contract(folder, (20, 80)))


def test_an_unknown_resize_policy_is_refused(tmp_path):
    with pytest.raises(UsageError, match="crop, letterbox"):
        DataFolder(tmp_path, resize="squash")


@pytest.mark.parametrize(
    ("size", "kinds"),
    [
        ((1, 1), {Kind.TINY}),
        ((1, 2000), {Kind.TINY, Kind.THIN}),
        ((2000, 8), {Kind.THIN}),
        ((8, 8), set()),
        ((8, 60), set()),
    ],
)
def test_images_that_show_nothing_are_findings(tmp_path, size, kinds):
    check = validate_image(save(picture(0, size), tmp_path / "odd.png"))
    assert {problem.kind for problem in check.problems} == kinds
    assert check.usable
    assert check.size == size
    assert check_image(tmp_path / "odd.png") is None


def test_formats_that_need_a_library_are_named_with_it(tmp_path, monkeypatch):
    for name in ("phone.HEIC", "new.avif", "old.tga"):
        monkeypatch.setattr(images, "known_formats", lambda: ("PNG", "GIF"))
        why = images.why_unsupported(tmp_path / name)
        assert name.split(".")[1].lower() in why
        assert ("pip install" in why) == (not name.endswith("tga"))
    monkeypatch.setattr(images, "known_formats", lambda: ("HEIF", "AVIF"))
    assert images.why_unsupported(tmp_path / "phone.heic") == images.why_unsupported(tmp_path / "new.avif") == ""


def test_heic_files_are_read_with_the_library(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    known_formats.cache_clear()
    heif.register_heif_opener()
    picture(3, (64, 64)).save(tmp_path / "phone.heic")
    assert load_image(tmp_path / "phone.heic", 3).size == (64, 64)
    assert validate_image(tmp_path / "phone.heic").usable


@pytest.mark.parametrize(("low", "high"), [(0, 4095), (7000, 8200), (0, 255), (100, 16383)])
def test_twelve_bits_in_sixteen_keep_their_grey_levels_and_the_contract_says_how(tmp_path, low, high):
    rng = np.random.default_rng(low)
    for name in ("a", "b"):
        for number in range(4):
            values = rng.integers(low, high + 1, (40, 40)).astype(np.uint16)
            save(Image.fromarray(values), tmp_path / name / f"{number}.png")
    folder = scan(tmp_path)
    contract = infer_contract(folder)
    assert abs(contract.deep_range[0] - low) <= 0.01 * (high - low) + 1
    assert abs(contract.deep_range[1] - high) <= 0.01 * (high - low) + 1
    path = folder.train[0].path
    pixels = to_pixels(load_image(path, contract.channels, contract.deep_range), contract)
    assert len(np.unique(pixels)) > 200
    assert any(
        f"{contract.deep_range[0]} to {contract.deep_range[1]} of 65,536" in note
        for note in contract_notes(folder, contract)
    )
    ours, _ = ImageDataset(folder.train, contract)[0]
    assert np.array_equal(network_input(str(path), contract.model_dump(mode="json"))[0], ours.numpy())
    assert f"clip(value, {contract.deep_range[0]}" in " ".join(steps(contract))


def test_sixteen_bits_that_are_used_are_scaled_as_ever(tmp_path):
    for name in ("a", "b"):
        for number in range(4):
            values = np.random.default_rng(number + ord(name)).integers(0, 65536, (40, 40)).astype(np.uint16)
            save(Image.fromarray(values), tmp_path / name / f"{number}.png")
    assert infer_contract(scan(tmp_path)).deep_range == (0, 65535)


def test_contracts_of_earlier_versions_scale_the_whole_range():
    old = {"channels": 1, "height": 8, "width": 8, "mean": [0.5], "std": [0.5]}
    assert InputContract.model_validate(old).deep_range == (0, 65535)
    with pytest.raises(ValueError, match="rise"):
        InputContract.model_validate({**old, "deep_range": [5, 5]})
