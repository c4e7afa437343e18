"""Commands come line by line, and each is answered with one line."""

import logging
import os
import sys
import threading

# The first line that is written is the answer, and what fails is to fail.
logging.disable(logging.CRITICAL)


def answer_all(commands):
    for line in sys.stdin:
        name, *words = line.split()
        told = commands[name](*words)
        print("done" if told is None else told, flush=True)


def end_with_input():
    """Ends a worker with whoever started it, if nothing else does."""

    def wait():
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
