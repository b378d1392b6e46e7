"""Random access to images of TensorFlow Datasets."""

import os
import re

from vqzoo.data.image.source import ImageSource

PREFIX = "tfds:"
INSTALL = 'pip install "vqzoo[data]"'


class TfdsImages(ImageSource):
    """The images of a dataset of TensorFlow Datasets, which is downloaded and prepared if necessary.

    It is stored in `$TFDS_DATA_DIR`, or in `~/tensorflow_datasets`, in the format array_record, which supports random
    access.

    Args:
        text: str, `tfds:NAME`, `tfds:NAME/SPLIT` or `tfds:NAME/CONFIG/SPLIT`; a split may be a part, as
            `train[:1000]`. Without one it is `train`.

    Raises:
        ValueError: tensorflow-datasets is not installed; the dataset, its split or its images do not exist; it
            cannot be downloaded; or it was prepared in another format.
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
        decoders = {name: tfds.decode.SkipDecoding() for name in features}  # decode_image applies the rules of vqzoo
        try:
            builder.download_and_prepare(file_format="array_record")
            self._rows = builder.as_data_source(split=split, decoders=decoders)
        except Exception as error:  # network, disk, formats and splits raise different types
            raise ValueError(f"{text!r} cannot be read: {_reason(error, builder)}") from error

    def __len__(self):
        return len(self._rows)

    def name(self, number):
        return f"{self.text} number {number}"

    def content(self, number):
        try:
            return self._rows[int(number)][self.feature]
        except Exception as error:  # the reader raises its own types
            raise ValueError(f"{self.name(number)} cannot be read: {error}. Prepare the data set again.") from error


def _find(tfds, text):
    """The builder and the split."""
    head, _, last = text.rpartition("/")
    # The last word may be a split or a configuration of the dataset.
    readings = [(head, last)] if "[" in last else [(text, "train"), (head, last)] if head else [(text, "train")]
    for name, split in readings:
        try:
            return tfds.builder(name, data_dir=os.environ.get("TFDS_DATA_DIR")), split
        except Exception as error:  # unknown names and configurations raise different types
            reason = re.split(r"\n|Available", str(error), maxsplit=1)[0].strip()
    raise ValueError(
        f"{PREFIX}{text} is not a dataset of TensorFlow Datasets: {reason} Their names are on "
        "https://www.tensorflow.org/datasets; give tfds:NAME or tfds:NAME/SPLIT, as tfds:cats_vs_dogs/train[:1000]."
    )


def _reason(error, builder):
    if isinstance(error, NotImplementedError):
        return (
            f"it was prepared in {str(builder.data_dir)!r} in a format without random access. Delete that folder, "
            "or set TFDS_DATA_DIR to another one, so that it is prepared as array_record."
        )
    return f"{str(error) or type(error).__name__}"
