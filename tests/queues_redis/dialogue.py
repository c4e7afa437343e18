"""Commands come line by line, and each is answered with one line."""

import os
import sys
import threading


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
