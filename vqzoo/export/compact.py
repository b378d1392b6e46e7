"""LiteRT files without what they hold twice."""

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # bytes, of every buffer, as the format's schema asks; Python's builder knows no such attribute
_MOSTLY_EMPTY = ("intermediates", "mutatingVariableInputs")  # of operators; of recurrent ones they are not
# Larger files keep their weights behind the flatbuffer, which is at most 2 GB.
_LARGEST = 2**30


def compact_litert(model):
    """Stores equal constants once, over all signatures, and leaves out the names of what is inside.

    The converter writes a constant once for each signature that reads it: a codebook is in the file of a tokenizer
    twice or three times.

    Args:
        model: bytes, a LiteRT file.

    Returns:
        bytes, a LiteRT file with the same results; `model` itself above 1 GB.
    """
    if len(model) > _LARGEST:
        return model
    read = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    _share_buffers(read)
    for subgraph in read.subgraphs:
        seen = {*subgraph.inputs, *subgraph.outputs}
        for index, tensor in enumerate(subgraph.tensors):
            tensor.name = tensor.name if index in seen else None
            scales = tensor.quantization and tensor.quantization.scale
            tensor.quantization = None if scales is None else tensor.quantization
        for operator in subgraph.operators:
            for name in _MOSTLY_EMPTY:
                values = getattr(operator, name)
                setattr(operator, name, None if values is None or not len(values) else values)
    builder = _Builder(len(model))
    builder.Finish(read.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def _share_buffers(model):
    """Lets equal constants be one buffer. The first is always empty; what the run time fills is so too, and stays."""
    kept, places, numbers = [], {}, []
    for index, buffer in enumerate(model.buffers):
        content = None if buffer.data is None or not len(buffer.data) else np.asarray(buffer.data).tobytes()
        if index and content in places:
            numbers.append(places[content])
            continue
        numbers.append(len(kept))
        kept.append(buffer)
        if index and content is not None:
            places[content] = numbers[-1]
    model.buffers = kept
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            tensor.buffer = numbers[tensor.buffer]
    for told in model.metadata or ():
        told.buffer = numbers[told.buffer]


class _Builder(flatbuffers.Builder):
    """Writes equal vectors once, such as the shapes of tensors; begins those of bytes at a multiple of `_ALIGNMENT`."""

    def __init__(self, size):
        super().__init__(size)
        self._written = {}

    def CreateNumpyVector(self, x):
        key = x.dtype.str, x.tobytes()
        if key not in self._written:
            if x.dtype.itemsize == 1:
                self.Prep(_ALIGNMENT, x.size)
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]
