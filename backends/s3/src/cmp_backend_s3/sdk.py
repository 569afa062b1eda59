"""Own how the SDK is loaded: without AWS's native library, which a fetch needs for some objects only."""

import sys


def load_sdk() -> None:
    """Import what the SDK decides by whether there is awscrt, so that it finds none.

    The SDK loads it wherever it is installed, for checksums and signatures that it has no part in here: that takes a
    tenth of a small fetch, also of one whose objects all come from the store. ``integrity.py`` loads it for an object
    whose checksum is one of the library's.
    """
    if {"awscrt", "botocore.compat"} & sys.modules.keys():
        return
    sys.modules["awscrt"] = None  # type: ignore[assignment]  # says that it cannot be imported
    try:
        import botocore.compat  # noqa: F401, PLC0415  # every other module asks this one
    finally:
        del sys.modules["awscrt"]
