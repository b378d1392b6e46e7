"""What the tables share: a tiny preset, a folder that is compared before and after, a cap on memory."""

import contextlib
import shutil

import keras
import pytest

import vqzoo
from vqzoo.cli.main import main

resource = pytest.importorskip("resource")


@pytest.fixture(scope="session")
def tokenizer():
    keras.utils.set_random_seed(0)
    quantizer = vqzoo.VectorQuantizer(16, keras.initializers.RandomNormal(stddev=0.3, seed=1), name="quantizer")
    return vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=quantizer)


@pytest.fixture(scope="session")
def saved_once(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "image-tiny"
    tokenizer.save_to_preset(folder, recipe={"steps": 1})
    return folder


@pytest.fixture
def preset(saved_once, tmp_path):
    """A complete preset of its own, to be damaged."""
    return shutil.copytree(saved_once, tmp_path / "preset")


@pytest.fixture(autouse=True)
def plain_errors(monkeypatch):
    monkeypatch.delenv("VQZOO_TRACEBACK", raising=False)


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def refused(tmp_path, capsys):
    """Runs the command line; it has to fail with one line that holds the text, and leave nothing behind."""

    def run(arguments, *texts):
        before = tree(tmp_path)
        capsys.readouterr()
        try:
            status = main([*map(str, arguments)])
        except SystemExit as stop:
            status = stop.code
        told = capsys.readouterr()
        assert status == 1, told
        assert "Traceback" not in told.out + told.err
        for text in texts:
            assert text in told.err, told.err
        assert tree(tmp_path) == before
        return told.err

    return run


@pytest.fixture
def little_memory():
    """A context in which the process may take 300 MB more, and no more than that."""

    @contextlib.contextmanager
    def cap():
        limits = resource.getrlimit(resource.RLIMIT_AS)
        try:
            with open("/proc/self/statm") as file:
                now = int(file.read().split()[0]) * resource.getpagesize()
        except FileNotFoundError:  # not Linux
            pytest.skip("needs /proc")
        resource.setrlimit(resource.RLIMIT_AS, (now + 300 * 2**20, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limits)

    return cap
