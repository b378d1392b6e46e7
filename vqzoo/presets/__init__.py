"""Names <-> folders: presets are found, saved, verified and loaded here, through Keras alone.

A preset is a folder: the model (`tokenizer.keras` or `prior.keras`), `metadata.json`, `recipe.json`, the card
`README.md`, `samples.png`, what an export adds, and `manifest.json`, which is written last and marks it
complete.
"""

from vqzoo.presets.find import PresetInfo
from vqzoo.presets.find import find_preset
from vqzoo.presets.find import list_presets
from vqzoo.presets.manifest import FORMAT_VERSION
from vqzoo.presets.manifest import verify_preset
from vqzoo.presets.storage import check_folder
from vqzoo.presets.storage import load_preset
from vqzoo.presets.storage import read_metadata
from vqzoo.presets.storage import remove_exports
from vqzoo.presets.storage import save_preset
from vqzoo.presets.storage import seal_preset
from vqzoo.presets.storage import update_metadata

__all__ = [
    "FORMAT_VERSION",
    "PresetInfo",
    "check_folder",
    "find_preset",
    "list_presets",
    "load_preset",
    "read_metadata",
    "remove_exports",
    "save_preset",
    "seal_preset",
    "update_metadata",
    "verify_preset",
]
