"""The names of files in a preset's folder that more than one package asks for."""

# What the weights of a LiteRT file are stored in -> its name.
LITERT_FILES = {
    "float32": "tokenizer.tflite",
    "float16": "tokenizer_float16.tflite",
    "int8": "tokenizer_int8.tflite",
}
