"""The Hub is a folder here: `huggingface_hub` is replaced by a module of the same names over local files."""

import fnmatch
import hashlib
import json
import pathlib
import shutil
import sys
import types

import numpy as np
import pytest

from vqzoo.cli.main import main
from vqzoo.presets import find_preset
from vqzoo.presets import load_preset
from vqzoo.presets import push_to_hub
from vqzoo.presets import verify_preset
from vqzoo.presets.manifest import manifest_of

COMMITS = {"main": "a" * 40, "v1": "b" * 40}


class Hub:
    """Repositories in `root/server`, downloads in `root/cache`; `calls` and `online` are for the tests."""

    def __init__(self, root):
        self.server, self.cache = root / "server", root / "cache"
        self.calls, self.online = [], True
        errors = types.ModuleType("huggingface_hub.errors")
        for name in ("HfHubHTTPError", "LocalEntryNotFoundError", "OfflineModeIsEnabled"):
            setattr(errors, name, type(name, (OSError,), {}))
        errors.HFValidationError = type("HFValidationError", (ValueError,), {})
        for name in ("RepositoryNotFoundError", "RevisionNotFoundError"):
            setattr(errors, name, type(name, (errors.HfHubHTTPError,), {}))
        errors.GatedRepoError = type("GatedRepoError", (errors.RepositoryNotFoundError,), {})
        self.errors = errors
        self.module = types.ModuleType("huggingface_hub")
        self.module.errors = errors
        self.module.snapshot_download = self.download
        self.module.CommitOperationAdd = lambda path_in_repo, path_or_fileobj: (path_in_repo, path_or_fileobj)
        self.module.HfApi = self.api

    def download(self, repo_id, revision, allow_patterns):
        self.calls.append((repo_id, revision, tuple(allow_patterns)))
        revision = {commit: name for name, commit in COMMITS.items()}.get(revision, revision or "main")
        cached = self.cache / repo_id / "snapshots" / COMMITS.get(revision, revision)
        if not self.online:
            if not cached.is_dir():
                raise self.errors.LocalEntryNotFoundError("no network")
            return str(cached)
        if (self.server / repo_id).is_file():
            raise self.errors.GatedRepoError("403")
        if not (self.server / repo_id).is_dir():
            raise self.errors.RepositoryNotFoundError("401")
        if revision not in COMMITS:
            raise self.errors.RevisionNotFoundError("404")
        cached.mkdir(parents=True, exist_ok=True)
        source = self.server / repo_id / revision
        for path in (path for path in source.rglob("*") if path.is_file()):
            name = path.relative_to(source).as_posix()
            if any(fnmatch.fnmatch(name, pattern) for pattern in allow_patterns):
                (cached / name).parent.mkdir(parents=True, exist_ok=True)
                (cached / name).unlink(missing_ok=True)
                (cached / name).symlink_to(path)  # as the real cache does
        return str(cached)

    def api(self, token, library_name):
        def create_repo(repo_id, private, exist_ok):
            if token == "readonly":
                raise self.errors.HfHubHTTPError("403 Forbidden: this token cannot write")
            self.calls.append(("create", repo_id, private, token))
            (self.server / repo_id / "main").mkdir(parents=True, exist_ok=exist_ok)
            return f"https://huggingface.co/{repo_id}"

        def create_commit(repo_id, operations, commit_message):
            for name, data in operations:
                target = self.server / repo_id / "main" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data if isinstance(data, bytes) else pathlib.Path(data).read_bytes())

        return types.SimpleNamespace(create_repo=create_repo, create_commit=create_commit)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = Hub(tmp_path / "hub")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub.module)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", hub.errors)
    return hub


def tree(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_is_pushed_comes_back(hub, preset):
    before = {name: (preset / name).read_bytes() for name in tree(preset)}
    (preset / "notes.txt").write_text("no part of the preset")
    (preset / "run").mkdir()
    (preset / "run" / "log.csv").write_text("no part of it either")
    url = push_to_hub(preset, "somebody/tiny", private=True, token="secret")
    assert url == "https://huggingface.co/somebody/tiny"
    assert hub.calls == [("create", "somebody/tiny", True, "secret")]
    assert tree(hub.server / "somebody" / "tiny" / "main") == sorted(before)
    assert {name: (preset / name).read_bytes() for name in before} == before
    folder = find_preset("hf://somebody/tiny")
    assert folder.is_relative_to(hub.cache) and tree(folder) == sorted(before)
    x = np.array([[1.0, -2.0]], "float32")
    np.testing.assert_array_equal(load_preset("hf://somebody/tiny")(x), load_preset(preset)(x))


def test_card_and_manifest_agree_on_the_hub(hub, preset):
    push_to_hub(str(preset), "hf://somebody/tiny")
    folder = find_preset("hf://somebody/tiny")
    card = (folder / "README.md").read_bytes()
    entry = verify_preset(folder)["files"]["README.md"]
    assert entry == {"bytes": len(card), "sha256": hashlib.sha256(card).hexdigest()}
    assert b'from_preset("hf://somebody/tiny")' in card
    head = card.decode().split("---")[1].splitlines()[1:]
    assert head[0] == "library_name: keras" and head[2] == 'license: "apache-2.0"'


def test_a_revision_is_fetched_at_one_commit_and_without_what_is_no_part(hub, preset):
    shutil.copytree(preset, hub.server / "somebody" / "tiny" / "v1")
    (hub.server / "somebody" / "tiny" / "v1" / "huge.bin").write_bytes(b"not in the manifest")
    folder = find_preset("hf://somebody/tiny@v1")
    assert "huge.bin" not in tree(folder)
    files = ("manifest.json", "README.md", "metadata.json", "recipe.json", "tokenizer.keras")
    assert hub.calls == [("somebody/tiny", "v1", ("manifest.json",)), ("somebody/tiny", "b" * 40, files)]


def test_names_with_wildcards_fetch_no_more(hub, preset):
    manifest = json.loads((preset / "manifest.json").read_text())
    manifest["files"]["*"] = {"bytes": 1, "sha256": "0" * 64}
    (preset / "manifest.json").write_text(json.dumps(manifest_of(manifest["files"])))
    (preset / "huge.bin").write_bytes(b"not in the manifest")
    shutil.copytree(preset, hub.server / "somebody" / "tiny" / "main")
    assert "huge.bin" not in tree(find_preset("hf://somebody/tiny"))


def test_a_manifest_that_leads_outside_fetches_nothing(hub, preset):
    manifest = json.loads((preset / "manifest.json").read_text())
    manifest["files"]["../secret"] = {"bytes": 1, "sha256": "0" * 64}
    (preset / "manifest.json").write_text(json.dumps(manifest))
    shutil.copytree(preset, hub.server / "somebody" / "tiny" / "main")
    with pytest.raises(ValueError, match="manifest.json' names files that are not inside the folder: '../secret'"):
        find_preset("hf://somebody/tiny")
    assert len(hub.calls) == 1


def test_damage_on_the_way_is_found(hub, preset):
    push_to_hub(preset, "somebody/tiny")
    file = hub.server / "somebody" / "tiny" / "main" / "tokenizer.keras"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(ValueError, match=r"is not whole: tokenizer.keras \(damaged\)"):
        load_preset("hf://somebody/tiny")


def test_without_a_network_the_cache_is_used(hub, preset):
    push_to_hub(preset, "somebody/tiny")
    there = find_preset("hf://somebody/tiny")
    hub.online = False
    assert find_preset("hf://somebody/tiny") == there
    with pytest.raises(ValueError, match="hf://somebody/other cannot be fetched: no network to the Hub, and .*Connect"):
        find_preset("hf://somebody/other")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "hf://somebody/none",
            "hf://somebody/none cannot be fetched: the Hub has no 'somebody/none', or does not",
        ),
        ("hf://somebody/gated", "'somebody/gated' is gated. Accept its terms on https://huggingface.co/somebody/gated"),
        ("hf://somebody/plain@v9", "'somebody/plain' has no revision 'v9'. Give a branch, a tag or a whole commit"),
        ("hf://somebody/plain", "hf://somebody/plain is not a preset of vqzoo: the repository has no manifest.json"),
        ("hf://somebody", "is hf://user/name or hf://user/name@revision. Received: 'hf://somebody'"),
        ("hf://../plain", "is hf://user/name or hf://user/name@revision"),
        ("hf://somebody/a/b", "is hf://user/name or hf://user/name@revision"),
    ],
)
def test_what_cannot_be_fetched_tells_why(hub, name, message):
    (hub.server / "somebody" / "plain" / "main").mkdir(parents=True)
    (hub.server / "somebody" / "gated").write_text("")
    with pytest.raises(ValueError, match=message):
        find_preset(name)


@pytest.mark.parametrize("kind", ["HfHubHTTPError", "HFValidationError"])
def test_what_the_hub_says_is_told(hub, monkeypatch, kind):
    def fail(*args, **kwargs):
        raise getattr(hub.errors, kind)("500 Server Error")

    monkeypatch.setattr(hub.module, "snapshot_download", fail)
    with pytest.raises(ValueError, match="hf://a/b cannot be fetched: 'a/b': 500 Server Error"):
        find_preset("hf://a/b")


def test_other_errors_of_files_are_told(hub, monkeypatch):
    def fail(*args, **kwargs):
        raise PermissionError("cache is read-only")

    monkeypatch.setattr(hub.module, "snapshot_download", fail)
    with pytest.raises(ValueError, match="cannot be fetched: 'a/b': PermissionError: cache is read-only"):
        find_preset("hf://a/b")


def test_a_damaged_preset_is_not_pushed(hub, preset):
    (preset / "recipe.json").write_text("{}")
    with pytest.raises(ValueError, match="is not whole: recipe.json"):
        push_to_hub(preset, "somebody/tiny")
    assert not hub.server.exists()


def test_a_push_without_a_network_tells_why(hub, preset, monkeypatch):
    class ConnectError(Exception):
        """Of the HTTP client, and none of Python's."""

    def fail(*args, **kwargs):
        raise ConnectError("Name or service not known")

    monkeypatch.setattr(hub.module, "HfApi", lambda **options: types.SimpleNamespace(create_repo=fail))
    with pytest.raises(ValueError, match="not pushed: 'somebody/tiny': ConnectError: Name or .* Check the network"):
        push_to_hub(preset, "somebody/tiny")


def test_a_refused_push_tells_why(hub, preset):
    with pytest.raises(ValueError, match="was not pushed: 'somebody/tiny': 403 Forbidden: this token cannot write"):
        push_to_hub(preset, "somebody/tiny", token="readonly")
    with pytest.raises(ValueError, match="A repository of the Hub is user/name. Received: 'tiny'"):
        push_to_hub(preset, "tiny")


def test_without_the_library_the_extra_is_named(preset, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (lambda: find_preset("hf://somebody/tiny"), lambda: push_to_hub(preset, "somebody/tiny")):
        with pytest.raises(ValueError, match=r'need huggingface_hub .*: `pip install "vqzoo\[hub\]"`'):
            call()


def test_the_command_line_pushes_and_takes_such_names(hub, preset, capsys):
    assert main(["push", str(preset), "somebody/tiny", "--private"]) == 0
    assert capsys.readouterr().out == "https://huggingface.co/somebody/tiny\n"
    assert hub.calls == [("create", "somebody/tiny", True, None)]
    assert main(["info", "hf://somebody/tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["licence"] == "apache-2.0"
