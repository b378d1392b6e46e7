"""What a quiet program writes to standard error: all but the lines that are known to be noise, however it ends."""

import os
import signal
import subprocess
import sys

import pytest

from vqzoo import quiet

NOISE = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1796084627.585820   17515 cudart_stub.cc:31] Could not find cuda drivers on your machine",
    "W0000 00:00:1796084627.585820   17515 tf_tfl_flatbuffer_helpers.cc:364] Ignored output_format.",
    "E0000 00:00:1796084631.725335   17515 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error",
    "E0000 00:00:1796084632.298009   17515 meta_optimizer.cc:967] remapper failed: INVALID_ARGUMENT: Mutation",
    "2026-05-04 11:12:13.123456: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.",
    "2026-05-04 11:12:13.123456: E external/local_xla/xla/cuda_fft.cc:485] Unable to register cuFFT factory: Attempt",
    "2026-05-04 11:12:13.123456: E external/local_xla/xla/cuda_driver.cc:152] failed call to cuInit: INTERNAL",
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "To enable the following instructions: AVX2 AVX512F FMA, in other operations, rebuild TensorFlow",
    "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
    "[src/libmpg123/parse.c:do_readahead():1099] warning: Cannot read next header, a one-frame stream? Duh...",
    "[src/libmpg123/id3.c:process_comment():587] error: No comment text / valid description?",
    "Note: Illegal Audio-MPEG-Header 0x00000000 at offset 3000.",
    "Note: Trying to resync...",
    "Note: Skipped 400 bytes in input.",
    "Warning: Xing stream size off by more than 1%, fuzzy seeking may be even more fuzzy than by design!",
    "\nWarning: Big change from first (MPEG version, layer, rate). Frankenstein stream?",
]
NEWS = [
    "error: There is no preset 'x'.",
    "",
    "  photo.png: it is empty",
    "E0000 00:00:1796084631.725335   17515 cuda_dnn.cc:52] Could not create cudnn handle: out of memory",
    "F0000 00:00:1796084631.725335   17515 tensor.cc:52] Check failed: dtype() == expected",
    "2026-05-04 11:12:13.123456: F tensorflow/core/tensor.cc:852] Check failed: dtype() == expected",
    "terminate called after throwing an instance of 'std::bad_alloc'",
    "Fatal Python error: Segmentation fault",
    "Warning: the disk is full",
    "I wrote 3 files: see W1",
]
# Standard error's file is compared by device and inode, a descriptor of its own having another number.
BEGIN = """
import ctypes, os, runpy, signal, sys, time
before = os.fstat(2)
runpy.run_path(sys.argv[1])["begin"]()
assert os.path.sameopenfile(sys.stderr.fileno(), 2) is False or os.environ.get("VQZOO_TRACEBACK")
assert os.path.samestat(before, os.fstat(sys.stderr.fileno())) and sys.stderr is sys.__stderr__
"""


def run(code, **options):
    environment = {name: value for name, value in os.environ.items() if name != "VQZOO_TRACEBACK"}
    environment |= options.pop("variables", {})
    command = [sys.executable, "-c", BEGIN + code, quiet.__file__]
    return subprocess.run(command, stdout=subprocess.PIPE, timeout=60, env=environment, **options)


@pytest.mark.parametrize(("lines", "noise"), [(NOISE, True), (NEWS, False)], ids=["noise", "news"])
def test_which_lines_are_noise(lines, noise):
    assert [line for line in lines if quiet.is_noise(line.strip().encode()) is not noise] == []


@pytest.mark.parametrize(
    ("end", "status"),
    [("", 0), ("sys.exit(3)", 3), ("os._exit(4)", 4), ("os.abort()", -signal.SIGABRT), ("sys.stderr.close()", 0)],
)
def test_all_but_the_noise_is_written_however_the_program_ends(end, status):
    written = "\n".join(NOISE + NEWS + NOISE) + "\nthe last line has no end"
    ended = run(f"os.write(2, {written.encode()!r})\n{end}", stderr=subprocess.PIPE)
    assert ended.returncode == status
    assert ended.stderr.decode() == "\n".join(NEWS) + "\nthe last line has no end"


def test_much_is_written_by_native_code_that_holds_the_interpreters_lock():
    code = """
line = b"x" * 99 + b"\\n"
write = ctypes.PyDLL(None).write  # which does not release the lock
sent = 0
while sent < 2_000_000:
    sent += write(2, line * 20_000, 2_000_000 - sent)
"""
    ended = run(code, stderr=subprocess.PIPE)
    assert ended.returncode == 0 and ended.stderr == (b"x" * 99 + b"\n") * 20_000


MP3 = """
import io, random, numpy, soundfile
random.seed(0)
file = io.BytesIO()
soundfile.write(file, numpy.sin(numpy.arange(16_000) / 9), 16_000, format="MP3")
tag = b"ID3\\x03\\0\\0\\0\\0\\0\\x20COMM\\0\\0\\0\\x05\\0\\0\\0eng\\0\\0" + bytes(10)
for number in range(60):
    content = bytearray(file.getvalue())
    for _ in range(number % 20):
        place, count = random.randrange(len(content)), random.choice([1, 4, 100])
        content[place : place + count] = random.randbytes(count)
    try:
        soundfile.read(io.BytesIO(tag * (number % 3 == 0) + content[: random.randrange(1000, len(content) + 1)]))
    except soundfile.LibsndfileError:
        pass
"""


def test_damaged_mp3_files_are_read_in_silence():
    loud = run(MP3, stderr=subprocess.PIPE, variables={"VQZOO_TRACEBACK": "1"})
    assert loud.returncode == 0 and loud.stderr.count(b"\n") > 20
    silent = run(MP3, stderr=subprocess.PIPE)
    assert (silent.returncode, silent.stderr) == (0, b"")


def test_python_writes_to_the_descriptor_itself():
    ended = run(f"print({NOISE[0]!r}, file=sys.stderr); 1 / 0", stderr=subprocess.PIPE)
    lines = ended.stderr.decode().splitlines()
    assert lines[0] == NOISE[0] and lines[-1] == "ZeroDivisionError: division by zero" and ended.returncode == 1


def test_the_variable_of_tracebacks_shows_all():
    ended = run(f"os.write(2, {NOISE[0].encode()!r})", stderr=subprocess.PIPE, variables={"VQZOO_TRACEBACK": "1"})
    assert ended.stderr.decode() == NOISE[0]


def test_an_interrupted_program_still_says_why():
    code = """
def stop(*_):
    os.write(2, b"stopped")
    sys.exit(130)
signal.signal(signal.SIGINT, stop)
time.sleep(0.5)  # for the filter to begin
os.killpg(0, signal.SIGINT)
time.sleep(60)
"""
    ended = run(code, stderr=subprocess.PIPE, start_new_session=True)
    assert (ended.returncode, ended.stderr) == (130, b"stopped")


def test_standard_error_may_be_closed():
    command = f'exec "{sys.executable}" -c "$0" "{quiet.__file__}" 2>&-'
    code = 'import runpy, sys; runpy.run_path(sys.argv[1])["begin"](); print(sys.stderr)'
    ended = subprocess.run(["sh", "-c", command, code], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "None\n")


def test_a_notebooks_stream_stays(monkeypatch, capsys):
    """As under pytest, `sys.stderr` is not the descriptor's."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setenv("VQZOO_QUIET", "1")
    monkeypatch.setattr(quiet, "_quiet_logs", lambda: None)
    before = sys.stderr, os.fstat(2)
    quiet.begin_where_asked()
    assert sys.stderr is before[0] and os.path.samestat(os.fstat(2), before[1])
