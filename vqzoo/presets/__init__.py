"""Presets: finding, saving, verifying and loading them by name, with only Keras.

A preset is a folder: the model (`tokenizer.keras` or `prior.keras`), `metadata.json`, `recipe.json`, the card
`README.md`, samples (`samples.png`; audio also in `samples/`, text in `samples.md`), the files of an export, and
`manifest.json`, which is written last and marks it complete.
"""

from vqzoo.startup import is_command as _is_command
from vqzoo.startup import on_first_use as _on_first_use

if _is_command():
    __getattr__ = _on_first_use(__name__)
else:
    from vqzoo.presets.changes import changed_preset
    from vqzoo.presets.find import PresetInfo
    from vqzoo.presets.find import find_preset
    from vqzoo.presets.find import list_presets
    from vqzoo.presets.hub import push_to_hub
    from vqzoo.presets.manifest import FORMAT_VERSION
    from vqzoo.presets.manifest import MANIFEST
    from vqzoo.presets.manifest import holds_prior
    from vqzoo.presets.manifest import read_manifest
    from vqzoo.presets.manifest import read_metadata
    from vqzoo.presets.manifest import verify_preset
    from vqzoo.presets.storage import check_folder
    from vqzoo.presets.storage import exports_of
    from vqzoo.presets.storage import load_preset
    from vqzoo.presets.storage import remove_exports
    from vqzoo.presets.storage import save_preset
    from vqzoo.presets.storage import seal_preset
    from vqzoo.presets.storage import update_metadata
    from vqzoo.presets.storage import write_metadata
    from vqzoo.presets.tokens import TokenFile
    from vqzoo.presets.tokens import check_tokens_of
    from vqzoo.presets.tokens import describe_tokens
    from vqzoo.presets.tokens import load_tokens
    from vqzoo.presets.tokens import save_tokens

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "PresetInfo",
    "TokenFile",
    "changed_preset",
    "check_folder",
    "check_tokens_of",
    "describe_tokens",
    "exports_of",
    "find_preset",
    "holds_prior",
    "list_presets",
    "load_preset",
    "load_tokens",
    "push_to_hub",
    "read_manifest",
    "read_metadata",
    "remove_exports",
    "save_preset",
    "save_tokens",
    "seal_preset",
    "update_metadata",
    "verify_preset",
    "write_metadata",
]
