"""Removes duplicates from LiteRT files."""

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # bytes, of every buffer, required by the schema; the builder of Python does not support it
_MOSTLY_EMPTY = ("intermediates", "mutatingVariableInputs")  # fields of operators, which only recurrent ones use
# Larger files store their weights after the flatbuffer, which is at most 2 GB.
_LARGEST = 2**30


def compact_litert(model):
    """Stores equal constants of all signatures once, and removes the names of inner tensors.

    The converter writes a constant once per signature, so that the file of a tokenizer has its codebook two or three
    times.

    Args:
        model: bytes, a LiteRT file.

    Returns:
        bytes, a LiteRT file with the same results; `model` unchanged above 1 GB.
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
    """Merges the buffers of equal constants, but not empty ones, such as those that the runtime fills."""
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
    for entry in model.metadata or ():
        entry.buffer = numbers[entry.buffer]


class _Builder(flatbuffers.Builder):
    """Writes equal vectors, such as shapes of tensors, once, and aligns those of bytes to `_ALIGNMENT`."""

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
