"""Verdict letters: what became of a reading. `.` fresh, `n` not supported, `p` no permission, `l` lost, `e` error."""

FRESH, NOT_SUPPORTED, NO_PERMISSION, LOST, ERROR = ".", "n", "p", "l", "e"

# nvml.h nvmlReturn_t
_LETTERS = {
    2: NOT_SUPPORTED,  # INVALID_ARGUMENT: a field id this driver does not know
    3: NOT_SUPPORTED,
    4: NO_PERMISSION,
    6: NOT_SUPPORTED,  # NOT_FOUND
    13: NOT_SUPPORTED,  # FUNCTION_NOT_FOUND
    15: LOST,  # GPU_IS_LOST
    16: LOST,  # RESET_REQUIRED
    25: NOT_SUPPORTED,  # ARGUMENT_VERSION_MISMATCH
    26: NOT_SUPPORTED,  # DEPRECATED
}

LOST_CODES = (15, 16)


def code_letter(code):
    """The letter of an nvmlReturn_t; 0 is fresh, an unlisted code is an error."""
    return FRESH if code == 0 else _LETTERS.get(code, ERROR)


def error_letter(exc):
    """The letter of an exception out of pynvml.

    A missing versioned function raises NVMLLibraryMismatchError, which is no NVMLError and has no code.
    """
    code = getattr(exc, "value", None)
    if isinstance(code, int):
        return code_letter(code)
    if isinstance(exc, (AttributeError, NotImplementedError)) or "Mismatch" in type(exc).__name__:
        return NOT_SUPPORTED
    return ERROR
