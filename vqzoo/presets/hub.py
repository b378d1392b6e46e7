"""Presets on the Hugging Face Hub: `hf://user/name` or `hf://user/name@revision`. Needs the extra `hub`."""

import glob
import hashlib
import importlib
import pathlib
import re

from vqzoo.jsons import json_text
from vqzoo.presets.card import CARD
from vqzoo.presets.card import card_text
from vqzoo.presets.manifest import MANIFEST
from vqzoo.presets.manifest import manifest_of
from vqzoo.presets.manifest import name_of
from vqzoo.presets.manifest import read_manifest
from vqzoo.presets.manifest import verify_preset

PREFIX = "hf://"
_REPOSITORY = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"


def download_preset(name):
    """The folder of a Hub preset in the cache of `huggingface_hub`. Only the files of its manifest are downloaded.

    Args:
        name: str, `hf://user/name`, or `hf://user/name@revision` with a branch, tag or commit.

    Returns:
        `pathlib.Path`. Without a network it is the folder of an earlier download, if there is one.

    Raises:
        ValueError: `huggingface_hub` is not installed, the name is invalid, the repository is not found, is gated or
            is not a preset, or there is no network.

    Example:
    >>> download_preset("hf://somebody")
    Traceback (most recent call last):
        ...
    ValueError: A preset of the Hub is hf://user/name or hf://user/name@revision. Received: 'hf://somebody'
    """
    match = re.fullmatch(rf"{PREFIX}({_REPOSITORY})(?:@(.+))?", name)
    if not match:
        raise ValueError(f"A preset of the Hub is {PREFIX}user/name or {PREFIX}user/name@revision. Received: {name!r}")
    repository, revision = match.groups()
    folder = _download(name, repository, revision, [MANIFEST])
    if not (folder / MANIFEST).is_file():
        raise ValueError(
            f"{name} is not a preset of vqzoo: the repository has no {MANIFEST}. Upload presets by "
            "`vqzoo.presets.push_to_hub`."
        )
    files = [glob.escape(file) for file in read_manifest(folder)["files"]]
    # The same commit again, even if a newer one was pushed in between.
    commit = folder.name if re.fullmatch("[0-9a-f]{40}", folder.name) else revision
    return _download(name, repository, commit, [MANIFEST, *files])


def push_to_hub(preset, repository, private=None, token=None):
    """Uploads a preset to the Hugging Face Hub in one commit: the files of its manifest, and the manifest.

    The example of the uploaded card loads it by its name on the Hub. The local preset does not change.

    Args:
        preset: str or path, name or folder of a preset, as for `find_preset`. All of its files are verified first.
        repository: str, `user/name`; created if it is missing.
        private: bool, whether a newly created repository is private. Defaults to the user's default on the Hub.
        token: str, a token with write access. Defaults to that of `hf auth login` or `$HF_TOKEN`.

    Returns:
        str, the URL of the repository.

    Raises:
        ValueError: `huggingface_hub` is not installed, the name is invalid, the preset is damaged, or the Hub refuses.

    Example:
    >>> push_to_hub("image-vqgan-photos-f4", "mine")
    Traceback (most recent call last):
        ...
    ValueError: A repository of the Hub is user/name. Received: 'mine'
    """
    from vqzoo.presets.find import find_preset  # imported here, because it imports this file

    repository = repository.removeprefix(PREFIX)
    if not re.fullmatch(_REPOSITORY, repository):
        raise ValueError(f"A repository of the Hub is user/name. Received: {repository!r}")
    hub = _import_hub()
    folder = find_preset(preset)
    manifest = verify_preset(folder)
    files = {name: folder / name for name in manifest["files"]}
    files[CARD] = card_text(folder, name=f"{PREFIX}{repository}").encode()
    entry = {"bytes": len(files[CARD]), "sha256": hashlib.sha256(files[CARD]).hexdigest()}
    manifest = manifest_of({**manifest["files"], CARD: entry})
    files[MANIFEST] = (json_text(manifest, indent=2) + "\n").encode()
    operations = [hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=data) for name, data in files.items()]
    api = hub.HfApi(token=token, library_name="vqzoo")
    try:
        url = api.create_repo(repository, private=private, exist_ok=True)
        api.create_commit(repository, operations, commit_message=f"Preset {name_of(folder)} of vqzoo")
    except Exception as error:  # the HTTP client raises many types
        raise ValueError(f"The preset was not pushed: {_reason(hub, error, repository, None)}") from error
    return str(url)


def _download(name, repository, revision, patterns):
    hub = _import_hub()
    try:
        return pathlib.Path(hub.snapshot_download(repository, revision=revision, allow_patterns=patterns))
    except Exception as error:  # the HTTP client raises many types
        raise ValueError(f"{name} cannot be fetched: {_reason(hub, error, repository, revision)}") from error


def _import_hub():
    try:
        hub = importlib.import_module("huggingface_hub")
        importlib.import_module("huggingface_hub.errors")
    except ImportError as error:
        raise ValueError(
            f'Presets of the Hugging Face Hub need huggingface_hub ({error}): `pip install "vqzoo[hub]"`.'
        ) from error
    return hub


def _reason(hub, error, repository, revision):
    """The reason of a failed transfer, and the fix."""
    errors = hub.errors
    if isinstance(error, errors.GatedRepoError):  # a subclass of RepositoryNotFoundError
        return (
            f"{repository!r} is gated. Accept its terms on https://huggingface.co/{repository}, and `hf auth login` "
            "or set $HF_TOKEN."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"the Hub has no {repository!r}, or does not show it to you. Check the name; for a private repository "
            "`hf auth login` or set $HF_TOKEN to a token with the right to it."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repository!r} has no revision {revision!r}. Give a branch, a tag or a whole commit."
    if isinstance(error, errors.HfHubHTTPError | errors.HFValidationError):
        return f"{repository!r}: {error}"
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled | ConnectionError):
        return (
            f"no network to the Hub, and {repository!r} is not in the cache. Connect, unset $HF_HUB_OFFLINE, or copy "
            "the preset's folder here and give its path."
        )
    return f"{repository!r}: {type(error).__name__}: {error}. Check the network and the rights, and try again."
