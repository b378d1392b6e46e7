import keras
import matplotlib
import matplotlib.figure
import numpy as np
import pytest
from PIL import Image

from vqzoo.plots import reconstruction_grid
from vqzoo.plots import save_loss_curves
from vqzoo.plots import save_reconstructions
from vqzoo.plots import save_usage_histogram
from vqzoo.plots import token_colours
from vqzoo.plots.image import DIFFERENCE_FACTOR
from vqzoo.trainers.callbacks.image import Pictures

MARGIN, HEADER, GAP, GROUP_GAP = 16, 42, 6, 28


class Blocks:
    """A tokenizer of grey pictures: a token for each 4 x 4 block, its mean brightness in 16 levels."""

    codebook_sizes = (16,)

    def encode(self, images):
        batch, height, width, channels = images.shape
        means = np.reshape(images, (batch, height // 4, 4, width // 4, 4, channels)).mean(axis=(2, 4, 5))
        return np.clip(np.rint((means + 1) * 7.5), 0, 15).astype("int32")[..., None]

    def decode(self, tokens, size):
        images = (tokens / 7.5 - 1).repeat(4, axis=1).repeat(4, axis=2).astype("float32")
        return images[:, : size[0], : size[1]]


def picture(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def pixels_of(values):
    """8-bit pixels -> the [-1, 1] floats that they stand for."""
    return (np.asarray(values) / 127.5 - 1.0).astype("float32")


def cell(grid, row, column, size, group=0):
    """One cell of a grid whose cells are `size` = (height, width) and wider than their headers."""
    y = MARGIN + HEADER + row * (size[0] + GAP)
    x = MARGIN + group * (4 * (size[1] + GAP) + GROUP_GAP) + column * (size[1] + GAP)
    return grid[y : y + size[0], x : x + size[1]]


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(-1, 1, (3, 32, 40, 3)).astype("float32")


# === Grid ===
def test_the_pixels_of_originals_and_reconstructions_are_enlarged_exactly(images):
    tokens = np.zeros((3, 8, 10, 1), "int32")
    grid = reconstruction_grid(images, 2.0 * images, tokens, 16)
    assert grid.dtype == np.uint8
    for row in range(3):
        for column, shown in enumerate((images, np.clip(2.0 * images, -1, 1))):
            expected = np.rint((shown[row] + 1) * 127.5).astype("uint8").repeat(4, 0).repeat(4, 1)
            np.testing.assert_array_equal(cell(grid, row, column, (128, 160)), expected)


def test_the_difference_is_black_where_nothing_differs_and_amplified_where_it_does():
    originals = np.full((1, 160, 160, 3), 100)
    reconstructions = originals.copy()
    reconstructions[0, 7, 9] = (90, 105, 200)
    tokens = np.zeros((1, 8, 8, 1), "int32")
    grid = reconstruction_grid(pixels_of(originals), pixels_of(reconstructions), tokens, 16)
    difference = cell(grid, 0, 2, (160, 160))
    assert DIFFERENCE_FACTOR == 4
    assert difference[7, 9].tolist() == [40, 20, 255]
    assert np.count_nonzero(difference) == 3


def test_a_token_map_has_one_colour_for_each_token_and_squares_in_their_place():
    tokens = np.array([[[0, 5], [5, 3]], [[3, 3], [1, 0]]])[..., None]
    images = np.zeros((2, 160, 160, 1), "float32")
    grid = reconstruction_grid(images, images, tokens, 6)
    colours = {}
    for row in range(2):
        squares = cell(grid, row, 3, (160, 160)).reshape(2, 80, 2, 80, 3).swapaxes(1, 2).reshape(4, -1, 3)
        for token, square in zip(tokens[row].ravel(), squares, strict=True):
            assert len(np.unique(square, axis=0)) == 1
            colours.setdefault(int(token), set()).add(tuple(square[0].tolist()))
    assert sorted(colours) == [0, 1, 3, 5]
    assert all(len(found) == 1 for found in colours.values())
    assert len(set.union(*colours.values())) == 4


def shown_tokens(tokens, size=(160, 160)):
    """The tokens that the map of one picture shows, read off its colours; -1 for a blank."""
    tokens = np.asarray(tokens)[None]
    images = np.zeros((1, *size, 1), "float32")
    token_map = cell(reconstruction_grid(images, images, tokens, 64), 0, 3, size)
    known = np.concatenate([token_colours(np.arange(64)), token_colours(np.array([-1]))]).astype(int)
    distance = np.abs(token_map[:, :, None].astype(int) - known).sum(-1)
    assert distance.min(-1).max() == 0
    found = np.where(distance.argmin(-1) == 64, -1, distance.argmin(-1))
    kept = [np.r_[True, (np.diff(found, axis=axis) != 0).any(1 - axis)] for axis in (0, 1)]
    return found[kept[0]][:, kept[1]].tolist()


@pytest.mark.parametrize(
    ("tokens", "shown"),
    [
        (np.arange(6).reshape(2, 3, 1), [[0, 1, 2], [3, 4, 5]]),
        (np.arange(8).reshape(2, 2, 2), [[0, 1, 2, 3], [4, 5, 6, 7]]),  # two codebooks side by side
        (np.arange(8).reshape(1, 2, 4), [[0, 1, 4, 5], [2, 3, 6, 7]]),  # four in a square
        (np.arange(16).reshape(16, 1), np.arange(16).reshape(4, 4).tolist()),  # no grid: a square
        (np.arange(12).reshape(12, 1), np.arange(12).reshape(3, 4).tolist()),
        (np.arange(7).reshape(7, 1), [[0, 1, 2, 3], [4, 5, 6, -1]]),  # a blank rather than a strip
        (np.arange(8).reshape(4, 2), [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (np.arange(8).reshape(2, 2, 2, 1), np.arange(8).reshape(2, 4).tolist()),  # a grid of three axes
    ],
)
def test_any_shape_of_tokens_is_laid_out(tokens, shown):
    assert shown_tokens(tokens) == shown


def test_a_grid_that_does_not_divide_the_picture_still_covers_it():
    assert shown_tokens(np.arange(9).reshape(3, 3, 1), size=(161, 170)) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


@pytest.mark.parametrize(
    ("pixel", "shown"),
    [
        ([51], [51, 51, 51]),
        ([51, 204], [51, 204, 0]),
        ([10, 20, 30], [10, 20, 30]),
        ([10, 20, 30, 255], [10, 20, 30]),
        ([10, 20, 30, 0], [255, 255, 255]),
        ([0, 100, 255, 51], [204, 224, 255]),  # a fifth of the colour, the rest white
    ],
)
def test_pictures_of_one_to_four_channels(pixel, shown):
    images = pixels_of(np.full((1, 160, 160, len(pixel)), pixel))
    grid = reconstruction_grid(images, images, np.zeros((1, 4, 4, 1), "int32"), 16)
    assert np.unique(cell(grid, 0, 0, (160, 160)).reshape(-1, 3), axis=0).tolist() == [shown]


@pytest.mark.parametrize(("size", "shown"), [(28, 168), (32, 160), (64, 128), (96, 192), (256, 256), (512, 256)])
def test_cells_have_a_size_to_look_at(size, shown):
    images = np.zeros((1, size, size, 1), "float32")
    grid = reconstruction_grid(images, images, np.zeros((1, 4, 4, 1), "int32"), 16)
    assert grid.shape == (2 * MARGIN + HEADER + shown, 2 * MARGIN + 4 * shown + 3 * GAP, 3)


def test_a_difference_is_taken_before_a_large_picture_is_reduced():
    originals = pixels_of(np.full((1, 640, 640, 1), 100))
    checkered = 100 + 10 * (-1) ** np.arange(640)
    reconstructions = pixels_of(np.broadcast_to(checkered[:, None, None], (1, 640, 640, 1)))
    grid = reconstruction_grid(originals, reconstructions, np.zeros((1, 4, 4, 1), "int32"), 16)
    assert np.unique(cell(grid, 0, 1, (320, 320))).tolist() == [100]  # the mean of 90 and 110
    assert np.unique(cell(grid, 0, 2, (320, 320))).tolist() == [40]


@pytest.mark.parametrize(("count", "groups", "rows"), [(6, 1, 6), (7, 2, 4), (12, 2, 6)])
def test_more_than_six_pictures_make_two_groups(count, groups, rows):
    images = pixels_of(np.broadcast_to(np.arange(count)[:, None, None, None] + 1, (count, 160, 160, 1)))
    grid = reconstruction_grid(images, images, np.zeros((count, 4, 4, 1), "int32"), 16)
    assert grid.shape[0] == 2 * MARGIN + HEADER + rows * 160 + (rows - 1) * GAP
    for i in range(count):
        assert np.unique(cell(grid, i % rows, 0, (160, 160), group=i // rows)).tolist() == [i + 1]
    if count < groups * rows:
        assert np.unique(cell(grid, count % rows, 0, (160, 160), group=1)).tolist() == [255]


def ink(grid, column, lines=(0, HEADER)):
    """Whether the header of a column of cells of 160 pixels is written on."""
    x = MARGIN + column * (160 + GAP)
    return (grid[MARGIN + lines[0] : MARGIN + lines[1], x : x + 160] < 128).any()


def test_every_column_has_a_header_and_the_gaps_are_white():
    images = np.full((2, 160, 160, 1), -1.0, "float32")
    grid = reconstruction_grid(images, images, np.zeros((2, 4, 4, 1), "int32"), 16)
    assert all(ink(grid, column, lines) for column in range(4) for lines in ((0, 20), (20, HEADER)))
    below = MARGIN + HEADER
    assert np.unique(grid[below + 160 : below + 160 + GAP]).tolist() == [255]
    assert np.unique(grid[below:, MARGIN + 160 : MARGIN + 160 + GAP]).tolist() == [255]
    assert np.unique(grid[:MARGIN]).tolist() == np.unique(grid[-MARGIN:]).tolist() == [255]


def test_headers_of_narrow_pictures_do_not_run_into_each_other():
    images = np.full((1, 160, 8, 1), -1.0, "float32")
    grid = reconstruction_grid(images, images, np.zeros((1, 8, 1, 1), "int32"), 16)
    cells = grid[MARGIN + HEADER + 80, :, 0] < 250
    starts = np.flatnonzero(np.diff(np.r_[False, cells].astype(int)) == 1)
    assert len(starts) == 4 and starts[0] == MARGIN
    for start in starts[1:]:
        assert np.unique(grid[MARGIN : MARGIN + HEADER, start - GAP : start]).tolist() == [255]


def test_colours_differ_are_stable_and_do_not_depend_on_the_shape():
    colours = token_colours(np.arange(2048))
    assert len(np.unique(colours, axis=0)) == 2048
    np.testing.assert_array_equal(token_colours(np.array([[7, 2047]]))[0], colours[[7, 2047]])
    neighbours = np.abs(np.diff(colours.astype(int), axis=0)).sum(axis=1)
    assert neighbours.min() > 60


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"originals": np.zeros((8, 8, 3), "float32")}, r"1 to 4 channels.*Received: originals of shape \(8, 8, 3\)"),
        ({"originals": np.zeros((0, 8, 8, 3), "float32")}, "and not empty"),
        ({"originals": np.zeros((2, 8, 8, 5), "float32")}, r"1 to 4 channels.*\(2, 8, 8, 5\)"),
        ({"reconstructions": np.zeros((2, 12, 8, 3), "float32")}, r"size=\(height, width\).*\(2, 12, 8, 3\)"),
        ({"tokens": np.zeros((2, 4), "int32")}, r"here of 2 images. Received: shape \(2, 4\)"),
        ({"tokens": np.zeros((3, 4, 4, 1), "int32")}, r"here of 2 images. Received: shape \(3, 4, 4, 1\)"),
        ({"tokens": np.zeros((2, 4, 4, 1), "float32")}, "Tokens must be integers.*dtype float32"),
        ({"tokens": np.full((2, 4, 4, 1), 16)}, r"\[0, 16\), the codebook_size. Received: 16 to 16"),
        ({"tokens": np.full((2, 4, 4, 1), -1)}, "Received: -1 to -1"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    good = np.zeros((2, 8, 8, 3), "float32")
    arguments = {"originals": good, "reconstructions": good, "tokens": np.zeros((2, 4, 4, 1), "int32")}
    with pytest.raises(ValueError, match=message):
        reconstruction_grid(**{**arguments, **change}, codebook_size=16)


# === Files ===
def test_the_file_holds_the_grid_of_what_the_tokenizer_makes(tmp_path):
    images = np.random.default_rng(0).uniform(-1, 1, (2, 16, 24, 1)).astype("float32")
    path = save_reconstructions(tmp_path / "new" / "pictures.png", Blocks(), images)
    assert path == tmp_path / "new" / "pictures.png"
    tokens = Blocks().encode(images)
    expected = reconstruction_grid(images, Blocks().decode(tokens, (16, 24)), tokens, 16)
    np.testing.assert_array_equal(picture(path), expected)
    assert [file.name for file in path.parent.iterdir()] == ["pictures.png"]


def test_pictures_are_written_after_every_second_epoch(tmp_path):
    images = np.zeros((1, 16, 16, 1), "float32")
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.zeros((4, 2), "float32")
    pictures = Pictures(tmp_path, Blocks(), keras.ops.convert_to_tensor(images), every=2)
    model.fit(x, x[:, :1], epochs=5, verbose=0, callbacks=[pictures])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch_0002.png", "epoch_0004.png"]
    assert picture(tmp_path / "epoch_0004.png").shape == (234, 690, 3)


def test_a_number_of_epochs_that_is_not_positive_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 1. Received: every=0"):
        Pictures(tmp_path, Blocks(), np.zeros((1, 16, 16, 1), "float32"), every=0)


# === Charts ===
@pytest.fixture
def figures(monkeypatch):
    """The figures that were saved, to look at their lines."""
    saved = []
    savefig = matplotlib.figure.Figure.savefig
    monkeypatch.setattr(
        matplotlib.figure.Figure, "savefig", lambda self, *args, **kw: (saved.append(self), savefig(self, *args, **kw))
    )
    return saved


def test_the_histogram_is_sorted_and_tells_usage_perplexity_and_dead_codes(tmp_path, figures):
    path = save_usage_histogram(tmp_path / "usage.png", [10, 0, 30, 0])
    (axes,) = figures[0].axes
    (stairs,) = axes.patches
    assert stairs.get_data().values.tolist() == [75.0, 25.0, 0.0, 0.0]
    assert axes.get_lines()[0].get_ydata() == [25.0, 25.0]
    assert axes.get_title(loc="left").split("     ") == [
        "usage 50.0 %",
        "perplexity 1.8 of 4",
        "dead codes 2",
        "tokens 40",
    ]
    assert picture(path).std() > 10 and [file.name for file in tmp_path.iterdir()] == ["usage.png"]


def test_counts_of_nothing_are_refused(tmp_path):
    with pytest.raises(ValueError, match="No code was used"):
        save_usage_histogram(tmp_path / "usage.png", np.zeros(4))
    with pytest.raises(ValueError, match="one codebook's counts"):
        save_usage_histogram(tmp_path / "usage.png", np.ones((2, 4)))


ROWS = [
    {"epoch": 1, "step": 10, "seconds": 1.0, "l1": 1.0, "usage": 0.5},
    {"epoch": 2, "step": 20, "seconds": 2.0, "l1": 0.1, "usage": 0.75, "val_l1": 0.2, "val_psnr": 20.0},
    {"epoch": 3, "step": 30, "seconds": 3.0, "l1": float("nan"), "usage": 1.0},
    {"epoch": 4, "step": 40, "seconds": 4.0, "l1": 0.01, "usage": 1.0, "val_l1": 0.02, "val_psnr": 25.0},
]


def test_there_is_a_panel_for_each_value_with_training_and_validation_together(tmp_path, figures):
    path = save_loss_curves(tmp_path / "curves.png", ROWS, marks={"discriminator starts": 25})
    panels = {axes.get_title(loc="left"): axes for axes in figures[0].axes}
    assert list(panels) == ["l1", "usage", "psnr"]
    training, validation, mark = panels["l1"].get_lines()
    np.testing.assert_array_equal(training.get_xydata(), [[10, 1.0], [20, 0.1], [30, np.nan], [40, 0.01]])
    assert validation.get_xydata().tolist() == [[20, 0.2], [40, 0.02]]
    assert mark.get_xdata() == [25, 25]
    assert [line.get_label() for line in panels["psnr"].get_lines()] == ["validation", "discriminator starts"]
    assert {name: axes.get_yscale() for name, axes in panels.items()} == {
        "l1": "log",
        "usage": "linear",
        "psnr": "linear",
    }
    legend = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert legend == ["training", "validation", "discriminator starts"]
    assert picture(path).std() > 10


@pytest.mark.parametrize(("values", "scale"), [([1.0, 0.1], "linear"), ([1.0, 0.09], "log"), ([1.0, 0.0], "linear")])
def test_a_panel_is_logarithmic_over_more_than_a_decade_of_positive_values(tmp_path, figures, values, scale):
    save_loss_curves(tmp_path / "curves.png", [{"step": i, "l1": value} for i, value in enumerate(values)])
    assert figures[0].axes[0].get_yscale() == scale


def test_values_over_many_decades_and_values_that_are_all_nan_can_be_drawn(tmp_path, figures):
    rows = [{"step": i, "l1": 10.0**-i, "l2": float("nan")} for i in range(8)]
    save_loss_curves(tmp_path / "curves.png", rows)
    figures[0].draw_without_rendering()
    labels = [label.get_text() for label in figures[0].axes[0].get_yticklabels()]
    assert "0.01" in labels and "1" in labels
    assert len(figures[0].axes[1].get_lines()) == 0
    save_loss_curves(tmp_path / "curves.png", [{"step": 1, "l1": float("nan")}])
    assert len(figures[1].axes[0].get_lines()) == 0


@pytest.mark.parametrize("rows", [[], [{"epoch": 1, "step": 3, "seconds": 1.0}]])
def test_a_log_of_nothing_is_refused(tmp_path, rows):
    with pytest.raises(ValueError, match="`rows` has no losses"):
        save_loss_curves(tmp_path / "curves.png", rows)


def test_the_global_state_of_matplotlib_is_left_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    save_usage_histogram(tmp_path / "usage.png", [1, 2])
    save_loss_curves(tmp_path / "curves.png", ROWS)
    assert dict(matplotlib.rcParams) == before
