"""The folder that is put on the PYTHONPATH of programs that are to call a local runtime.

Its modules run in other environments, too: they need the standard library only, and Python 3.8 or newer.
"""
