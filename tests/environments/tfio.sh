#!/bin/sh
# The second environment: tensorflow-io's kernels load with TensorFlow 2.16 and 2.17 alone. Makes it once (1.5 GB) and
# runs the tests of sound files there, those that are skipped elsewhere too.
#   tests/environments/tfio.sh [FOLDER [PYTEST ARGUMENTS]]      FOLDER: of the environment; PYTHON: 3.11 or 3.12
set -e
cd "$(dirname "$0")/../.."
folder="${1:-build/tfio}"
[ $# -gt 0 ] && shift
if [ ! -e "$folder/complete" ]; then
    "${PYTHON:-python3.11}" -m venv "$folder"
    # Two steps: TensorFlow 2.17 alone would take an older Keras than we need.
    "$folder/bin/pip" install -q "tensorflow==2.17.1" "tensorflow-io==0.37.1" "numpy<2"
    "$folder/bin/pip" install -q "keras>=3.15,<4" "numpy<2" "librosa<1" soundfile soxr pillow scikit-image matplotlib \
        rich sentencepiece ai-edge-litert pytest pytest-timeout pytest-xdist
    touch "$folder/complete"
fi
export PYTHONPATH="$PWD" TF_CPP_MIN_LOG_LEVEL=3
"$folder/bin/python" -c "
from vqzoo.data.audio.decoders import tfio_audio
raise SystemExit(0 if tfio_audio() else 'tensorflow-io does not work here')"
exec "$folder/bin/python" -m pytest -q tests/data/audio tests/bad_input/test_audio.py "$@"
