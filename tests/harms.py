"""What can happen to the files of a run: each gives a function of the run's directory."""

import json


def edit(name, change=lambda data: None, **values):
    """Another entry, or any change, in a JSON file."""

    def harm(run):
        data = json.loads((run / name).read_text(encoding="utf-8")) | values
        change(data)
        (run / name).write_text(json.dumps(data), encoding="utf-8")

    return harm


def write(name, data):
    return lambda run: (run / name).write_bytes(data)


def cut(name, size=-100):
    return lambda run: (run / name).write_bytes((run / name).read_bytes()[:size])


def remove(name):
    return lambda run: (run / name).unlink()


def flip(name):
    """A bit near the end."""

    def harm(run):
        data = bytearray((run / name).read_bytes())
        data[-99] ^= 4
        (run / name).write_bytes(data)

    return harm
