"""What this machine has: versions, devices, extras that work, and what to install."""

import importlib
import importlib.metadata
import os
import platform
import sys

from vqzoo.cli.output import add_json_argument
from vqzoo.cli.output import print_json

PACKAGES = ("vqzoo", "keras", "tensorflow", "numpy", "pillow", "scikit-image", "librosa", "sentencepiece")
# package -> what it is for, what installs it: extras as the README does, in the folder of the repository
EXTRAS = {
    "ai_edge_litert": ("LiteRT files are verified and run with it", "pip install ai-edge-litert"),
    "tensorboard": ("keras.callbacks.TensorBoard", 'pip install -e ".[tensorboard]"'),
    "huggingface_hub": ("presets of the Hugging Face Hub, hf://user/name", 'pip install -e ".[hub]"'),
    "tensorflow_datasets": ("data sets by name, --data tfds:NAME", 'pip install -e ".[data]"'),
    "av": ("m4a, mp4, aac, wma, webm and mka files", 'pip install -e ".[media]"'),
    "moonshine_voice": ("recorded speech to begin with", 'pip install -e ".[samples]"'),
    "chatterbot_corpus": ("conversations to begin with", 'pip install -e ".[samples]"'),
    "django": ("translations to begin with", 'pip install -e ".[samples]"'),
    "pystoi": ("STOI of speech", 'pip install -e ".[metrics]"'),
    "pesq": ("PESQ of speech", 'pip install -e ".[metrics]"'),
    "tensorflow_io": (
        "a second reader of audio files",
        "pip install tensorflow-io, with TensorFlow 2.17 and Python 3.11",
    ),
}


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    add_json_argument(parser)


def run(arguments):
    """Prints the findings; exit status 1 if the backend is not TensorFlow."""
    import keras
    import tensorflow as tf

    report = {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "backend": keras.backend.backend(),
        "devices": [f"{device.device_type}: {device.name}" for device in tf.config.list_physical_devices()],
        "processors": os.cpu_count(),
        "extras": {name: _probe(name) for name in EXTRAS},
    }
    if arguments.json:
        print_json(report)
    else:
        _print(report)
    return 0 if report["backend"] == "tensorflow" else 1


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _probe(name):
    """Whether it works, which is more than whether it is installed."""
    try:
        importlib.import_module(name)
        if name == "tensorflow_io":
            from vqzoo.data.audio.decoders import tfio_audio

            if tfio_audio() is None:  # imports with any TensorFlow, but its native part only loads with its own
                raise ImportError("its native part does not load with this TensorFlow")
    except Exception as error:  # whatever a broken package raises
        return f"no: {type(error).__name__}: {error}".splitlines()[0][:200]
    return "yes"


def _print(report):
    print(f"python {report['python']} on {platform.platform()}, {report['processors']} processors")
    for name, version in report["packages"].items():
        print(f"  {name} {version or 'is not installed: pip install ' + name}")
    print(f"keras computes with {report['backend']}")
    if report["backend"] != "tensorflow":
        print("  training, export and the command line need TensorFlow: unset KERAS_BACKEND", file=sys.stderr)
    for device in report["devices"]:
        print(f"  {device}")
    for name, works in report["extras"].items():
        about, install = EXTRAS[name]
        print(f"{name}: {works} ({about})" + ("" if works == "yes" else f". To have it: {install}"))
