"""The settings that recipes share. A recipe's own settings are a frozen dataclass that inherits these."""

import dataclasses

from vqzoo.export import EXPORT_FORMS

EXPORTS = ("all", "none", *EXPORT_FORMS)


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """What every training run needs.

    The comment behind a field is its help; a comment on a line of its own begins a group of the help.

    Raises:
        ValueError: if a setting is out of its range.

    Example:
    >>> @dataclasses.dataclass(frozen=True)
    ... class Config(RunSettings):
    ...     learning_rate: float = 2e-3
    ...     width: int = 64  # of the network
    >>> Config(epochs=3).learning_rate
    0.002
    """

    # Data
    data: str = ""  # file or folder, recursive
    validation_data: str = ""  # the same for validation; empty: a share of `data`
    validation_share: float = 0.2  # of the files, when `validation_data` is empty
    # Run
    out: str = "saved_models/run"  # preset folder
    seed: int = 0  # of weights, order and noise
    resume: bool = False  # continues the run in `out` that was stopped, if there is one
    checkpoint_minutes: float = 10.0  # between two checkpoints inside an epoch; the end of each epoch is one
    tensorboard: bool = False  # writes curves for TensorBoard too, to OUT/run/tensorboard
    # Training
    batch_size: int = 32  # examples, over all devices
    epochs: int = 10  # samples and a log line after each
    steps_per_epoch: int = 100  # batches
    learning_rate: float = 1e-3  # highest; a cosine takes it to 0
    warmup: float = 0.05  # share of the steps over which the learning rate rises from 0
    average_decay: float = 0.998  # of the weights' moving average
    # Devices
    precision: str = "float32"  # float32, mixed_bfloat16 or mixed_float16
    strategy: str = "none"  # none; mirrored, all GPUs of this machine; multiworker, of several named by TF_CONFIG
    deterministic: bool = False  # the same numbers in every run on GPUs too, slower; processors have it anyway


@dataclasses.dataclass(frozen=True)
class TokenizerSettings(RunSettings):
    """What every training run of a tokenizer needs.

    Raises:
        ValueError: if a setting is out of its range.

    Example:
    >>> TokenizerSettings(exports="litert,portable").forms
    ('litert', 'portable')
    """

    # Run
    init: str = ""  # preset, name or folder, to start from: its networks replace those of the settings
    exports: str = "all"  # forms to export: all, none, or saved_model, litert, litert_float16, litert_int8, portable

    def __post_init__(self):
        unknown = [name for name in self.exports.split(",") if name not in EXPORTS]
        if unknown or (len(self.exports.split(",")) > 1 and {"all", "none"} & set(self.exports.split(","))):
            raise ValueError(
                f"--exports is all, none, or some of {', '.join(EXPORT_FORMS)}, with commas between. Received: "
                f"--exports {self.exports}"
            )

    @property
    def forms(self):
        """Tuple of str, the forms to export."""
        return {"all": EXPORT_FORMS, "none": ()}.get(self.exports, tuple(self.exports.split(",")))
