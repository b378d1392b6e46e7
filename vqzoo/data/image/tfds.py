"""Pictures of TensorFlow Datasets, by number."""

import os
import re

from vqzoo.data.image.source import ImageSource

PREFIX = "tfds:"
INSTALL = 'pip install "vqzoo[data]"'


class TfdsImages(ImageSource):
    """The pictures of a data set of TensorFlow Datasets, downloaded and prepared where it is not there yet.

    It lies in `$TFDS_DATA_DIR`, or in `~/tensorflow_datasets`, in the format array_record, which is read by number.

    Args:
        text: str, `tfds:NAME`, `tfds:NAME/SPLIT` or `tfds:NAME/CONFIG/SPLIT`; a split may be a part, as
            `train[:1000]`. Without one it is `train`.

    Raises:
        ValueError: tensorflow-datasets is not installed; the data set, its split or its pictures do not exist; it
            cannot be fetched; or it was prepared in another format.
    """

    max_skipped = 0.01

    def __init__(self, text):
        self.text = text
        try:
            import tensorflow_datasets as tfds
        except ImportError as error:
            raise ValueError(f"{text!r} needs TensorFlow Datasets ({error}). To have it: {INSTALL}") from error
        builder, split = _find(tfds, text.removeprefix(PREFIX))
        features = {name: f for name, f in builder.info.features.items() if isinstance(f, tfds.features.Image)}
        if not features:
            names = ", ".join(builder.info.features.keys())
            raise ValueError(f"{text!r} has no pictures among its features: {names}. Choose another data set.")
        self.feature = "image" if "image" in features else next(iter(features))
        decoders = {name: tfds.decode.SkipDecoding() for name in features}  # decode_image has our rules
        try:
            builder.download_and_prepare(file_format="array_record")
            self._rows = builder.as_data_source(split=split, decoders=decoders)
        except Exception as error:  # network, disk, formats, splits: each raises its own
            raise ValueError(f"{text!r} cannot be read: {_told(error, builder)}") from error

    def __len__(self):
        return len(self._rows)

    def name(self, number):
        return f"{self.text} number {number}"

    def content(self, number):
        try:
            return self._rows[int(number)][self.feature]
        except Exception as error:  # the reader's own kinds
            raise ValueError(f"{self.name(number)} cannot be read: {error}. Prepare the data set again.") from error


def _find(tfds, text):
    """The builder, and the split."""
    head, _, last = text.rpartition("/")
    # The last word may be a split or a configuration of the data set.
    readings = [(head, last)] if "[" in last else [(text, "train"), (head, last)] if head else [(text, "train")]
    for name, split in readings:
        try:
            return tfds.builder(name, data_dir=os.environ.get("TFDS_DATA_DIR")), split
        except Exception as error:  # unknown names and configurations raise kinds of their own, some tell all names
            reason = re.split(r"\n|Available", str(error), maxsplit=1)[0].strip()
    raise ValueError(
        f"{PREFIX}{text} is no data set of TensorFlow Datasets: {reason} Their names are on "
        "https://www.tensorflow.org/datasets; give tfds:NAME or tfds:NAME/SPLIT, as tfds:cats_vs_dogs/train[:1000]."
    )


def _told(error, builder):
    if isinstance(error, NotImplementedError):
        return (
            f"it was prepared in {str(builder.data_dir)!r} in a format that is not read by number. Delete that folder, "
            "or set TFDS_DATA_DIR to another one, and it is prepared as array_record."
        )
    return f"{str(error) or type(error).__name__}"
