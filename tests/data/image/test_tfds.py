"""Data sets of TensorFlow Datasets, read from a real one that is built here."""

import sys

import numpy as np
import pytest

from vqzoo.data import ImageCrops
from vqzoo.data import load_image
from vqzoo.data import open_images
from vqzoo.data import sample_images
from vqzoo.data import split_images
from vqzoo.data.image.pixels import decode_image

# protobuf's and tensorflow-datasets's own deprecations are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")
installed = pytest.mark.environment("main", "tensorflow_datasets", "array_record")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    import tensorflow_datasets as tfds

    features = tfds.features
    text = features.Text()
    image = {"label": features.ClassLabel(num_classes=2), "image": features.Image(), "name": text}

    def info(builder, described):
        return tfds.core.DatasetInfo(builder=builder, features=features.FeaturesDict(described))

    class VqzooPhotos(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return info(self, image)

        def _split_generators(self, manager):
            return {"train": self._generate_examples([1, 2, 3, 4]), "test": self._generate_examples([0])}

        def _generate_examples(self, numbers):
            for number in numbers:
                file = sample_images()[number]
                yield number, {"label": number % 2, "image": str(file), "name": file.name}

    class VqzooWords(VqzooPhotos):
        def _info(self):
            return info(self, {"name": text})

        def _generate_examples(self, numbers):
            yield from ((number, {"name": f"{number}"}) for number in numbers)

    class VqzooFresh(VqzooPhotos):
        """Stays registered, and is not prepared."""

    folder = tmp_path_factory.mktemp("tfds")
    for builder, file_format in ((VqzooPhotos, "array_record"), (VqzooWords, "array_record")):
        builder(data_dir=folder, file_format=file_format).download_and_prepare()
    VqzooPhotos(data_dir=folder / "old", file_format="tfrecord").download_and_prepare()
    for builder in (VqzooPhotos, VqzooWords):  # read as a data set that was prepared by somebody else
        tfds.core.registered._DATASET_REGISTRY.pop(builder.name, None)
    return folder


@pytest.fixture
def found(data_dir, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    return data_dir


@installed
def test_crops_and_names_of_a_split(found):
    images = open_images("tfds:vqzoo_photos/test")
    assert list(images) == ["tfds:vqzoo_photos/test number 0"]
    assert images.content(0) == sample_images()[0].read_bytes()
    options = {"size": 32, "batch_size": 4, "seed": 2}
    expected = ImageCrops([sample_images()[0]], **options).batch(3)
    np.testing.assert_array_equal(ImageCrops(images, **options).batch(3), expected)
    batches = list(ImageCrops(images, **options).dataset(steps=4).as_numpy_iterator())  # on several threads
    np.testing.assert_array_equal(batches[3], expected)


@installed
def test_what_is_not_prepared_is_prepared_as_array_record(found):
    assert not (found / "vqzoo_fresh").exists()
    assert len(open_images("tfds:vqzoo_fresh")) == 4
    assert [path.name for path in (found / "vqzoo_fresh" / "1.0.0").glob("*train*")] == [
        "vqzoo_fresh-train.array_record-00000-of-00001"
    ]
    assert open_images("tfds:vqzoo_fresh/test").content(0) == sample_images()[0].read_bytes()


@installed
@pytest.mark.parametrize(
    ("text", "count"), [("vqzoo_photos", 4), ("vqzoo_photos/train[:2]", 2), ("vqzoo_photos:1.0.0/train[50%:]", 2)]
)
def test_splits_and_parts(found, text, count):
    images = open_images(f"tfds:{text}")
    assert len(images) == count
    train, validation = split_images(images)
    assert len(train) + len(validation) == count and len(validation) >= 1
    shapes = {load_image(file).shape for file in sample_images()}
    for number in range(count):
        picture = decode_image(images.content(number), "", 3, 10**7)
        assert (picture.height, picture.width, 3) in shapes


@installed
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "vqzoo_nothing",
            "tfds:vqzoo_nothing is not a dataset of TensorFlow Datasets: .*vqzoo_nothing.* give tfds:NAME",
        ),
        ("vqzoo_photos/nothing", "'tfds:vqzoo_photos/nothing' cannot be read: .*nothing"),
        ("vqzoo_photos/nothing[:3]", "'tfds:vqzoo_photos/nothing.:3.' cannot be read: .*nothing"),
        ("vqzoo_words", "'tfds:vqzoo_words' has no pictures among its features: name. Choose another"),
        ("", "tfds: is not a dataset"),
    ],
)
def test_what_does_not_exist_is_named(found, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        open_images(f"tfds:{text}")
    assert len(str(caught.value)) < 600


@installed
def test_another_format_is_named(found, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(found / "old"))
    with pytest.raises(ValueError, match="was prepared in '.*old.*' in a format without random access. Delete that"):
        open_images("tfds:vqzoo_photos")


@installed
def test_a_damaged_example_is_skipped_and_named(found):
    images = open_images("tfds:vqzoo_photos/train")

    class Damaged:
        def __len__(self):
            return 4

        def __getitem__(self, number):
            if number == 2:
                raise RuntimeError("crc")
            return rows[number]

    rows, images._rows = images._rows, Damaged()
    crops = ImageCrops(images, 16, 8)
    crops.batch(0)
    reason = "tfds:vqzoo_photos/train number 2 cannot be read: crc. Prepare the data set again."
    assert crops.skipped == {"tfds:vqzoo_photos/train number 2": reason}


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(
        ValueError, match=r"'tfds:cats_vs_dogs' needs TensorFlow Datasets .*: pip install \"vqzoo\[data\]\""
    ):
        open_images("tfds:cats_vs_dogs")
