"""What every test shares: a seed, a thread, a quiet start of TensorFlow, the marker `environment`, little memory."""

import contextlib
import ctypes
import gc
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# There is a worker for each core, and children of theirs: more threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import keras
import pytest


def pytest_runtest_setup(item):
    """Skips a test whose environment is not here. `.ci/slow` makes them all, and fails where one is missing."""
    for mark in item.iter_markers("environment"):
        name, *packages = mark.args
        missing = [package for package in packages if importlib.util.find_spec(package) is None]
        if name == "peers" and not os.environ.get("VQZOO_PEERS_PYTHON"):
            missing.append("$VQZOO_PEERS_PYTHON")
        if missing:
            pytest.skip(f"needs the environment {name} of .ci/slow: no {', '.join(missing)}")


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session", autouse=True)
def without_xla():
    """Lets priors and fused operations run without XLA.

    It takes half of the time of the tests that generate, and TensorFlow never frees what it has compiled. Tests of the
    mark `xla`, the slow ones, and programs that run in a process of their own have it.
    """
    import vqzoo.ops

    module = sys.modules[vqzoo.ops.compiled.__module__]  # the name is that of the function
    with pytest.MonkeyPatch.context() as patch:
        real = module._xla
        patch.setattr(module, "_xla", lambda: False)
        yield module, real


@pytest.fixture(autouse=True)
def with_xla_where_marked(request, without_xla, monkeypatch):
    if any(request.node.get_closest_marker(name) for name in ("xla", "slow")):
        module, real = without_xla
        monkeypatch.setattr(module, "_xla", real)


_MUCH = 1e9  # bytes of a worker, above which it is worth a second to free some


@pytest.fixture(scope="module", autouse=True)
def freed():
    """Frees the graphs of a module's trainings.

    Keras sums the gradients of its optimizers over replicas, also of one, in an operation whose gradient TensorFlow
    registers in a table that is never emptied, together with the whole graph of the step.
    """
    yield
    statm = pathlib.Path("/proc/self/statm")
    if not statm.exists() or int(statm.read_text().split()[1]) * os.sysconf("SC_PAGESIZE") < _MUCH:
        return
    from tensorflow.python.framework import ops

    table = getattr(getattr(ops, "gradient_registry", None), "_registry", {})
    for name in [name for name in table if re.fullmatch(r"CustomGradient-\d+", name)]:
        del table[name]
    keras.utils.clear_session()
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):  # another libc
        pass


@pytest.fixture(scope="session")
def fresh_python(tmp_path_factory):
    """Callable that runs a program in a process of its own, as `subprocess.run([sys.executable, *arguments])` does.

    That process has imported vqzoo, and nothing else has happened in it: for programs that import it anyway.
    """
    folder = tmp_path_factory.mktemp("fresh_python")
    script = pathlib.Path(__file__).with_name("fresh_python.py")
    pipe = subprocess.PIPE
    with contextlib.ExitStack() as stack:
        server = None

        def run(*arguments, cwd=None, env=None):
            nonlocal server
            if server is None:
                command = [sys.executable, str(script)]
                # Recipes that a test has imported ask for quiet, and that leads standard error elsewhere.
                plain = {name: value for name, value in os.environ.items() if name != "VQZOO_QUIET"}
                server = stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=plain))
                stack.callback(server.stdin.close)
            request = {"arguments": [str(a) for a in arguments], "folder": str(cwd or os.getcwd())}
            request["environment"] = dict(os.environ if env is None else env)
            outputs = {name: str(folder / name) for name in ("stdout", "stderr")}
            print(json.dumps({**request, **outputs}), file=server.stdin, flush=True)
            status = int(server.stdout.readline())
            texts = (pathlib.Path(file).read_text(errors="backslashreplace") for file in outputs.values())
            return subprocess.CompletedProcess(arguments, status, *texts)

        yield run
