"""Random crops: what is cut out, that a batch depends on nothing but its step, and what happens to bad files."""

import concurrent.futures

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from vqzoo.data import ImageCrops
from vqzoo.data import ImageSource
from vqzoo.data import sample_images
from vqzoo.data.files import reason_of
from vqzoo.data.image import crops as crops_module
from vqzoo.data.image.crops import _jittered
from vqzoo.data.image.source import ImageSubset


def save(path, array):
    Image.fromarray(np.asarray(array, np.uint8)).save(path)
    return path


def eight_bit(batch):
    return np.rint((batch + 1) * 127.5).astype(int)


@pytest.fixture
def ramp(tmp_path):
    """A picture whose value is its column, 256 x 256."""
    return save(tmp_path / "ramp.png", np.broadcast_to(np.arange(256), (256, 256)))


@pytest.fixture
def flat(tmp_path):
    """Ten grey pictures of the values 0, 20 ... 180."""
    return [save(tmp_path / f"{value}.png", np.full((8, 8), value)) for value in range(0, 200, 20)]


def slopes(crops):
    """Grey values from one column of a crop to the next: how many columns of the ramp they are apart."""
    columns = crops.batch(0)[:, 0, :, 0] * 127.5
    return (columns[:, -5] - columns[:, 4]) / (columns.shape[1] - 9)  # the ends of a resized ramp are rounded off


# === What is cut out ===


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_at_scale_one_a_crop_has_exactly_the_pictures_values(tmp_path, channels):
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3))
    picture = picture[..., 0] if channels == 1 else picture
    file = save(tmp_path / "a.png", picture)
    crops = ImageCrops([file], (8, 12), 200, channels=channels, scale=(1, 1), flip=False)
    windows = np.lib.stride_tricks.sliding_window_view(picture.reshape(20, 30, -1), (8, 12), (0, 1))
    windows = np.moveaxis(windows, 2, -1).reshape(13 * 19, 8, 12, -1)
    if channels == 4:
        windows = np.concatenate([windows, np.full_like(windows[..., :1], 255)], axis=-1)
    found = {crop.tobytes() for crop in eight_bit(crops.batch(0))}
    assert found <= {window.tobytes() for window in windows}
    assert len(found) > 100


def test_transparent_colours_do_not_bleed(tmp_path):
    picture = np.zeros((32, 32, 4))
    picture[:, :16] = (255, 0, 0, 255)
    picture[:, 16:] = (0, 255, 0, 0)  # invisible green
    crop = eight_bit(ImageCrops([save(tmp_path / "a.png", picture)], 16, 1, channels=4, scale=(0.5, 0.5)).batch(0))
    assert set(crop[..., 1][crop[..., 3] > 8].tolist()) == {0}
    assert (crop[..., 3].min(), crop[..., 3].max()) == (0, 255)


@pytest.mark.parametrize("factor", [0.125, 0.25, 0.5, 1, 2])
def test_the_factor_is_the_zoom(ramp, factor):
    crops = ImageCrops([ramp], 24, 16, channels=1, scale=(factor, factor), flip=False)
    np.testing.assert_allclose(slopes(crops), 1 / factor, atol=0.07)  # one grey value over 15 columns


def test_the_factor_is_log_uniform(ramp):
    crops = ImageCrops([ramp], 24, 1000, channels=1, scale=(0.25, 1), flip=False)
    factors = np.log2(slopes(crops))
    np.testing.assert_allclose(
        np.quantile(factors, [0.02, 0.25, 0.5, 0.75, 0.98]), [0.04, 0.5, 1, 1.5, 1.96], atol=0.15
    )


@pytest.mark.parametrize("factor", [0.5, 0.125])
def test_details_too_fine_for_the_crop_are_averaged(tmp_path, factor):
    rows, columns = np.mgrid[:256, :256]
    crops = ImageCrops([save(tmp_path / "board.png", 255 * ((rows + columns) % 2))], 16, 4, scale=(factor, factor))
    np.testing.assert_allclose(eight_bit(crops.batch(0)), 127.5, atol=6)


@pytest.mark.parametrize("size, factor", [((64, 512), 2), ((512, 64), 2), (128, 0.5)])
def test_small_pictures_are_enlarged_until_they_just_fit(ramp, size, factor):
    crops = ImageCrops([ramp], size, 8, channels=1, scale=(0.1, 0.1), flip=False)
    np.testing.assert_allclose(slopes(crops), 1 / factor, rtol=0.02)


def test_windows_reach_every_edge(tmp_path):
    rows, columns = np.mgrid[:40, :50]
    file = save(tmp_path / "a.png", np.stack([rows, columns, 0 * rows], axis=-1))
    crops = eight_bit(ImageCrops([file], (8, 12), 4000, scale=(1, 1), flip=False).batch(0))
    assert sorted(set(crops[:, 0, 0, 0])) == list(range(40 - 8 + 1))
    assert sorted(set(crops[:, 0, 0, 1])) == list(range(50 - 12 + 1))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (7, 13)])
def test_pictures_of_any_shape_fill_the_window(tmp_path, shape):
    crops = ImageCrops([save(tmp_path / "a.png", np.full(shape, 77))], (5, 9), 20)
    assert set(eight_bit(crops.batch(0)).flatten().tolist()) == {77}


def test_half_of_the_crops_are_mirrored(ramp):
    arguments = {"files": [ramp], "size": 24, "batch_size": 1000, "channels": 1, "scale": (1, 1)}
    mirrored, plain = slopes(ImageCrops(**arguments)), slopes(ImageCrops(**arguments, flip=False))
    np.testing.assert_allclose(plain, 1, rtol=1e-5)
    np.testing.assert_allclose(np.abs(mirrored), 1, rtol=1e-5)
    assert 0.45 < (mirrored < 0).mean() < 0.55


def test_jitter_spreads_brightness_over_its_range_alone(tmp_path):
    files = [save(tmp_path / "a.png", np.full((8, 8), 100))]
    crops = eight_bit(ImageCrops(files, 8, 500, jitter=0.3).batch(0))
    assert (crops == crops[:, :1, :1, :1]).all()  # a flat grey has no contrast and no colour to change
    values = crops[:, 0, 0, 0]
    assert 70 <= values.min() < 75 < 125 < values.max() <= 130
    assert 97 < values.mean() < 103


@pytest.mark.parametrize(
    "factors, expected",
    [
        ((1, 1, 1), [[100, 100, 100], [200, 200, 200], [0, 0, 0]]),
        ((1.5, 1, 1), [[150, 150, 150], [255, 255, 255], [0, 0, 0]]),
        ((1, 0.5, 1), [[100, 100, 100], [150, 150, 150], [50, 50, 50]]),
        ((0.5, 2, 1), [[50, 50, 50], [150, 150, 150], [0, 0, 0]]),
    ],
)
def test_brightness_and_contrast(factors, expected):
    greys = np.array([[[100] * 3, [200] * 3, [0] * 3]], np.uint8)
    assert _jittered(greys, *factors).tolist() == [expected]
    assert _jittered(greys[..., :1], *factors).tolist() == [[[grey] for grey, _, _ in expected]]


def test_saturation_keeps_luma_and_alpha():
    colours = np.array([[[100, 200, 50, 17], [0, 0, 255, 99]]], np.uint8)
    assert _jittered(colours, 1, 1, 0).tolist() == [[[153, 153, 153, 17], [29, 29, 29, 99]]]
    assert _jittered(colours, 1, 1, 0.25).tolist() == [[[140, 165, 127, 17], [22, 22, 86, 99]]]


# === The order ===


def test_every_file_comes_once_an_epoch_in_an_order_of_its_own(flat):
    crops = ImageCrops(flat, 8, 5)
    seen = eight_bit(np.concatenate([crops.batch(step) for step in range(6)]))[:, 0, 0, 0].reshape(3, 10)
    assert (np.sort(seen, axis=1) == np.arange(0, 200, 20)).all()
    assert len({epoch.tobytes() for epoch in seen}) == 3
    other = eight_bit(ImageCrops(flat, 8, 10, seed=1).batch(0))[:, 0, 0, 0]
    assert sorted(other) == sorted(seen[0]) and (other != seen[0]).any()


def test_a_batch_is_a_pure_function_of_the_step():
    def fresh():
        return ImageCrops(sample_images(), (16, 24), 7, jitter=0.2, seed=3)

    crops = fresh()
    batches = [crops.batch(step) for step in range(12)]
    assert len({batch.tobytes() for batch in batches}) == 12
    assert (ImageCrops(sample_images(), (16, 24), 7, jitter=0.2, seed=4).batch(0) != batches[0]).any()
    crops = fresh()
    for step in reversed(range(12)):
        np.testing.assert_array_equal(crops.batch(step), batches[step])
    crops = fresh()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for batch, expected in zip(pool.map(crops.batch, [*range(12)] * 3), batches * 3, strict=True):
            np.testing.assert_array_equal(batch, expected)
    for start in (0, 5):
        resumed = fresh().dataset(start, steps=12 - start).as_numpy_iterator()
        for batch, expected in zip(resumed, batches[start:], strict=True):
            np.testing.assert_array_equal(batch, expected)


def test_the_dataset_knows_its_shape_and_length(flat):
    crops = ImageCrops(flat, (6, 8), 4, channels=1)
    assert crops.dataset().element_spec == tf.TensorSpec((4, 6, 8, 1), tf.float32)
    assert crops.dataset().cardinality() == tf.data.INFINITE_CARDINALITY
    assert crops.dataset(start=3, steps=2).cardinality() == 2
    assert [batch.shape for batch in crops.dataset(steps=2)] == [(4, 6, 8, 1)] * 2


@pytest.mark.parametrize(
    "cache_bytes, decoded",
    [(2**30, 5), (0, 40), (2 * 4 * 20 * 30, 2 + 3 * 8)],  # all, none and two of the five fit
)
def test_the_cache_changes_the_work_not_the_crops(tmp_path, monkeypatch, cache_bytes, decoded):
    rng = np.random.default_rng(0)
    files = [save(tmp_path / f"{i}.png", rng.integers(0, 256, (20, 30, 3))) for i in range(5)]
    expected = ImageCrops(files, 8, 40).batch(0)
    decode, calls = crops_module.decode_image, []
    monkeypatch.setattr(crops_module, "decode_image", lambda *arguments: calls.append(arguments) or decode(*arguments))
    np.testing.assert_array_equal(ImageCrops(files, 8, 40, cache_bytes=cache_bytes).batch(0), expected)
    assert len(calls) == decoded


# === Several workers ===


@pytest.mark.parametrize("workers", [1, 2, 3, 6])
def test_workers_share_each_batch(workers):
    arguments = {"size": (16, 24), "batch_size": 6, "jitter": 0.2, "seed": 3}
    whole = ImageCrops(sample_images(), **arguments)
    each = [ImageCrops(sample_images(), **arguments).dataset(4, 3, worker, workers) for worker in range(workers)]
    for step, parts in enumerate(zip(*(dataset.as_numpy_iterator() for dataset in each), strict=True), start=4):
        np.testing.assert_array_equal(np.concatenate(parts), whole.batch(step))
    assert each[0].element_spec == tf.TensorSpec((6 // workers, 16, 24, 3), tf.float32)
    np.testing.assert_array_equal(whole.batch(7, workers - 1, workers), whole.batch(7)[-6 // workers :])


class Sharded(ImageSource):
    """Grey pictures of the values 0 to 11 in three shards: 0 to 5, 6 to 9, 10 and 11; worker w reads shards w::W."""

    shards = np.array([0] * 6 + [1] * 4 + [2] * 2)

    def __len__(self):
        return 12

    def name(self, number):
        return f"grey {number}"

    def content(self, number):
        return np.full((4, 5, 3), number, np.uint8)

    def part(self, worker, workers):
        return np.flatnonzero(self.shards % workers == worker)


def greys(batches):
    return eight_bit(np.concatenate(batches))[:, 0, 0, 0]


def test_a_worker_reads_its_own_shards_alone_each_picture_once_an_epoch():
    crops = ImageCrops(Sharded(), 4, 4, scale=(1, 1))
    seen = [greys([crops.batch(step, worker, 2) for step in range(12)]) for worker in (0, 1)]
    assert [len(rows) for rows in seen] == [24, 24]
    epochs = seen[0].reshape(3, 8)
    assert (np.sort(epochs) == [0, 1, 2, 3, 4, 5, 10, 11]).all()
    assert len({epoch.tobytes() for epoch in epochs}) == 3
    assert (np.sort(seen[1].reshape(6, 4)) == [6, 7, 8, 9]).all()
    resumed = crops.dataset(start=7, steps=5, worker=0, workers=2).as_numpy_iterator()
    assert greys(list(resumed)).tolist() == seen[0][14:].tolist()
    alone = greys([crops.batch(step) for step in range(3)])
    assert sorted(alone) == list(range(12))


def test_workers_cut_other_crops():
    class Ramps(Sharded):
        def content(self, number):
            return np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None], (4, 200, 1))

    crops = ImageCrops(Ramps(), 4, 20, channels=1, scale=(1, 1), flip=False)
    first, second = (crops.batch(0, worker, 2)[:, 0, 0, 0] for worker in (0, 1))
    assert len(set(first) | set(second)) > 15


@pytest.mark.parametrize(
    ("worker", "workers", "message"),
    [
        (2, 2, r"worker must be from 0 to workers - 1, .* Received: worker=2, workers=2"),
        (-1, 2, "Received: worker=-1, workers=2"),
        (0, 0, "Received: worker=0, workers=0"),
        (0, 4, r"batch_size must be a multiple of the number of workers, .* Received: batch_size=6, workers=4"),
        (1, 3, r"3 workers cannot share 2 examples, at least one each\. Use fewer workers"),
    ],
)
def test_workers_are_checked(worker, workers, message):
    crops = ImageCrops(ImageSubset(Sharded(), [0, 10]), 4, 6)
    for call in (crops.batch, crops.dataset):
        with pytest.raises(ValueError, match=message):
            call(0, worker=worker, workers=workers)


# === Sources ===


def test_a_source_gives_the_crops_of_its_files(flat):
    class Bytes(ImageSource):
        def __len__(self):
            return len(flat)

        def name(self, number):
            return flat[number].name

        def content(self, number):
            return flat[number].read_bytes()

    class Arrays(Bytes):
        def content(self, number):
            return np.asarray(Image.open(flat[number]))[..., np.newaxis]

    expected = ImageCrops(flat, 8, 15, channels=4).batch(1)
    for source in (Bytes(), Arrays()):
        np.testing.assert_array_equal(ImageCrops(source, 8, 15, channels=4).batch(1), expected)


def test_bad_pictures_of_a_source_are_named_up_to_its_cap():
    class Damaged(Sharded):
        max_skipped = 0.25

        def content(self, number):
            if number in (1, 2):
                raise ValueError(f"row {number} of shard 0 is damaged")
            return {3: b"", 4: np.zeros((4, 4), np.uint8)}.get(number, super().content(number))

    crops = ImageCrops(ImageSubset(Damaged(), [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]), 4, 11)
    with pytest.raises(ValueError, match=r"3 of 11 images cannot be read so far, and at most 25\.00% may fail"):
        for step in range(2):
            crops.batch(step)
    Damaged.max_skipped = 0.3
    crops = ImageCrops(ImageSubset(Damaged(), [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]), 4, 11)
    assert not set(greys([crops.batch(0)])) & {1, 2, 3, 4}
    assert crops.skipped["grey 1"] == "row 1 of shard 0 is damaged"
    assert "grey 3: the file is empty" in crops.skipped["grey 3"]
    crops = ImageCrops(ImageSubset(Damaged(), [4, 5]), 4, 2)
    crops.batch(0)  # one alone is never too many
    assert r"1, 3 or 4 channels, not uint8 (4, 4)" in crops.skipped["grey 4"]


def test_sources_are_checked():
    with pytest.raises(ValueError, match="ImageSubset has no pictures: give a source with at least one"):
        ImageCrops(ImageSubset(Sharded(), []), 4, 1)
    with pytest.raises(ValueError, match=r"files must be a list of paths or a vqzoo.data.ImageSource. Received: 3"):
        ImageCrops(3, 4, 1)


# === Bad files and arguments ===


def test_bad_files_are_skipped_named_and_not_tried_again(tmp_path, flat, monkeypatch):
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "cut.png").write_bytes(flat[3].read_bytes()[:50])
    large = save(tmp_path / "large.png", np.zeros((9, 9)))
    bad = [tmp_path / "text.png", tmp_path / "cut.png", large, tmp_path / "absent.png"]
    files = [*flat[:5], *bad, *flat[5:]]
    decode, calls = crops_module.decode_image, []
    monkeypatch.setattr(crops_module, "decode_image", lambda *arguments: calls.append(arguments) or decode(*arguments))
    crops = ImageCrops(files, 8, 14, max_pixels=64)
    assert crops.skipped == {}
    batches = [crops.batch(step) for step in range(4)]
    assert set(crops.skipped) == set(bad)
    assert "text.png" in crops.skipped[bad[0]] and "max_pixels=64" in crops.skipped[large]
    assert len(calls) == len(files)
    for batch in batches:
        order = np.array(eight_bit(batch)[:, 0, 0, 0])
        assert set(order) == set(range(0, 200, 20))  # the good ones are all there, some of them twice
    again = ImageCrops(files, 8, 14, max_pixels=64)
    for step in (3, 1, 0, 2):  # whatever was known to be bad before
        np.testing.assert_array_equal(again.batch(step), batches[step])


def test_the_next_good_file_takes_the_place(flat, tmp_path):
    order = eight_bit(ImageCrops(flat, 8, 10).batch(0))[:, 0, 0, 0]
    flat[order[4] // 20].write_bytes(b"")
    flat[order[9] // 20].write_bytes(b"")
    crops = ImageCrops(flat, 8, 10)
    repaired = eight_bit(crops.batch(0))[:, 0, 0, 0]
    assert repaired.tolist() == [*order[:4], order[5], *order[5:9], order[0]]
    assert crops.pictures(0) == [flat[value // 20] for value in repaired]


def test_without_a_good_file_the_reasons_are_raised(tmp_path):
    files = [tmp_path / f"{i}.png" for i in range(5)]
    files[0].touch()
    message = r"None of the 5 files can be read\. The first reasons:\n(Cannot read the picture .*\n){2}Cannot read .*"
    crops = ImageCrops(files, 8, 2)
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            crops.batch(0)
    assert len(crops.skipped) == 5
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(iter(ImageCrops(files, 8, 2).dataset()))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"files": []}, "files is empty: give at least one picture"),
        ({"files": "photos"}, r"files must be a list of paths: find_images\('photos'\)"),
        ({"size": 0}, r"size must be an int or a pair, at least 1\. Received: size=\(0, 0\)"),
        ({"size": (8, 8, 3)}, r"size must be .* Received: size=\(8, 8, 3\)"),
        ({"size": (8, 8.5)}, r"size must be .* Received: size=\(8, 8\.5\)"),
        ({"batch_size": 0}, r"batch_size must be an int, at least 1\. Received: batch_size=0"),
        ({"batch_size": 2.5}, r"batch_size must be an int"),
        ({"channels": 2}, r"channels must be 1 \(luma\), 3 \(RGB\) or 4 \(RGBA\)\. Received: 2"),
        ({"scale": (1, 0.5)}, r"scale must be an ascending pair above 0, at most 1000\. Received: scale=\(1, 0\.5\)"),
        ({"scale": (1, float("inf"))}, "scale must be"),
        ({"scale": (0, 1)}, "scale must be"),
        ({"scale": (0.5,)}, "scale must be"),
        ({"jitter": 1}, r"jitter must be in \[0, 1\)\. Received: jitter=1"),
        ({"jitter": -0.1}, "jitter must be"),
        ({"seed": -1}, r"seed must be an int from 0 to 2\*\*63 - 1\. Received: seed=-1"),
        ({"seed": 2**63}, "seed must be"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        ImageCrops(**{"files": ["a.png"], "size": 8, "batch_size": 2, **arguments})


def test_steps_are_checked(flat):
    crops = ImageCrops(flat, 8, 2)
    with pytest.raises(ValueError, match=r"step counts batches from 0\. Received: -1"):
        crops.batch(-1)
    with pytest.raises(ValueError, match="start must be at least 0 and steps at least 1"):
        crops.dataset(start=-1)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp"])
def test_larger_pictures_are_reduced_first(tmp_path, suffix):
    across, down = np.meshgrid(np.linspace(0, 255, 400), np.linspace(0, 255, 300))
    Image.fromarray(np.stack([across, down, 255 - across], -1).astype("uint8")).save(
        tmp_path / f"a.{suffix}", quality=95
    )
    crops = ImageCrops([tmp_path / f"a.{suffix}"], size=(75, 100), batch_size=1, scale=(1, 1), flip=False, max_side=100)
    batch = crops.batch(0)[0]  # the whole picture, at a quarter
    expected = np.stack(np.broadcast_arrays(np.linspace(-1, 1, 100), np.linspace(-1, 1, 75)[:, None]), -1)
    np.testing.assert_allclose(batch[..., :2], expected, atol=0.06)


def test_a_reduced_picture_stays_upright(tmp_path):
    pixels = np.zeros((80, 40, 3), "uint8")
    pixels[:, 20:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise: the right half becomes the lower one
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif)
    crops = ImageCrops([tmp_path / "a.jpg"], size=(20, 40), batch_size=1, scale=(1, 1), flip=False, max_side=40)
    batch = crops.batch(0)[0]
    assert batch[:8].mean() < -0.9 and batch[12:].mean() > 0.9


def test_max_side_is_a_count():
    with pytest.raises(ValueError, match="max_side must be an int, at least 1, or None. Received: max_side=0"):
        ImageCrops(["a.png"], size=8, batch_size=1, max_side=0)


@pytest.mark.parametrize("error", [MemoryError(), OSError(5, "odd"), RuntimeError("odd"), TypeError("odd")])
def test_a_picture_that_fails_in_any_way_is_skipped(error):
    class Odd(ImageSource):
        def __len__(self):
            return 3

        def name(self, number):
            return f"picture {number}"

        def content(self, number):
            if number == 1:
                raise error
            return np.full((8, 8, 3), number, "uint8")

    crops = ImageCrops(Odd(), size=8, batch_size=6)
    assert crops.batch(0).shape == (6, 8, 8, 3)
    assert crops.skipped == {"picture 1": reason_of(error)}
