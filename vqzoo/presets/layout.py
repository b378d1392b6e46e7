"""The names of files in a preset's folder that more than one package uses."""

# The type of the weights of a LiteRT file -> its name.
LITERT_FILES = {
    "float32": "tokenizer.tflite",
    "float16": "tokenizer_float16.tflite",
    "int8": "tokenizer_int8.tflite",
}
