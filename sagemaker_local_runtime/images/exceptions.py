"""Errors of the programs that stand in for containers.

::

    ImageError
    ├── UserInputError     the request, the data or the hyperparameters are wrong
    │   └── UnsupportedMediaTypeError
    └── ModelError         the model cannot be loaded or evaluated
"""

from __future__ import annotations


class ImageError(Exception):
    """A program cannot do what it is asked to.

    :param message: what failed, with the value seen.
    """

    status = 500


class UserInputError(ImageError):
    """The request, the data or the hyperparameters are wrong."""

    status = 400


class UnsupportedMediaTypeError(UserInputError):
    """The content type or its payload cannot be read."""

    status = 415


class ModelError(ImageError):
    """The model cannot be loaded or evaluated."""
