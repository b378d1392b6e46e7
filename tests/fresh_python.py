"""A process that has imported vqzoo and runs programs in copies of itself, each as fresh as a new one, 5 s earlier.

    python tests/fresh_python.py

Standard input has a request in JSON on each line: `arguments` of Python, `folder`, `environment`, and files for
`stdout` and `stderr`. The answer is a line with the exit status. TensorFlow has no threads before it is first used, so
that the process can be copied.
"""

import json
import os
import runpy
import sys

import vqzoo  # noqa: F401


def run(arguments, folder, environment, stdout, stderr):
    """Becomes the program."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    null = os.open(os.devnull, os.O_RDONLY)
    for number, file in ((0, null), (1, create(stdout)), (2, create(stderr))):
        os.dup2(file, number)
    sys.stdin = open(0, closefd=False)
    if arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        exec(compile(arguments[1], "<string>", "exec"), vars(main_module()))
    else:
        sys.argv = list(arguments)
        sys.path[0] = os.path.dirname(arguments[0])
        runpy.run_path(arguments[0], run_name="__main__")


def create(file):
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)


def main_module():
    module = type(sys)("__main__")
    sys.modules["__main__"] = module
    return module


def serve():
    for line in sys.stdin:
        child = os.fork()
        if not child:
            return json.loads(line)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


if __name__ == "__main__":
    request = serve()
    if request:
        run(**request)
