"""The package index that uv uses: the one that uv is set to, else the one that pip is set to.

uv reads its own files and variables, and none of pip's.
https://pip.pypa.io/en/stable/topics/configuration/
"""

from __future__ import annotations

import configparser
import os
import sys
from pathlib import Path

from sagemaker_local_runtime.images.layer.installer import PIP_VARIABLES

_UV_INDEX = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_NO_INDEX",
)
# pip separates several values with spaces, as uv does, except for these.
_COMMAS = {"UV_FIND_LINKS"}
_LOCAL = "file://"


def uv_environment() -> dict[str, str]:
    """Return the variables that uv needs in addition to its own, here and in a job, where HOME is another.

    Where uv has no index of its own, pip's is used, and as pip would: the best version of all indexes.
    """
    own = {name: value for name, value in os.environ.items() if name.startswith("UV_")}
    files = [path for path in _uv_files() if path.is_file()]
    if files:
        own.setdefault("UV_CONFIG_FILE", str(files[0]))
    if any(name in own for name in _UV_INDEX) or any("index" in path.read_text() for path in files):
        return own
    pip = _pip_settings()
    found = {
        theirs: value
        for ours, theirs in PIP_VARIABLES.items()
        if (value := _usable(pip.get(ours.removeprefix("PIP_").lower().replace("_", "-"), ""), theirs))
    }
    if "UV_INDEX" in found:
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {**found, **own}


def _usable(value: str, variable: str) -> str:
    """Return a value without the folders that do not exist, which pip ignores and uv refuses."""
    words = [word for word in value.split() if _exists(word, variable)]
    return ("," if variable in _COMMAS else " ").join(words)


def _exists(word: str, variable: str) -> bool:
    local = word.removeprefix(_LOCAL) if word.startswith(_LOCAL) else word
    is_url = "://" in local or variable not in {
        "UV_FIND_LINKS",
        "UV_INDEX",
        "UV_DEFAULT_INDEX",
        "SSL_CERT_FILE",
    }
    return is_url or Path(local).exists()


def _pip_settings() -> dict[str, str]:
    """Return pip's settings by their long option's name; the environment wins over files."""
    parser = configparser.RawConfigParser()
    for path in _pip_files():
        try:
            parser.read(path)
        except (configparser.Error, UnicodeError):
            continue
    settings: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            settings |= dict(parser.items(section))
    for name, value in os.environ.items():
        if name.startswith("PIP_"):
            settings[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return settings


def _pip_files() -> list[Path]:
    chosen = os.environ.get("PIP_CONFIG_FILE")
    if chosen:
        return [Path(chosen)]
    home = Path.home()
    return [
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        home / "Library" / "Application Support" / "pip" / "pip.conf",
        _config_home() / "pip" / "pip.conf",
        Path(sys.prefix) / "pip.conf",
    ]


def _uv_files() -> list[Path]:
    chosen = os.environ.get("UV_CONFIG_FILE")
    return [Path(chosen)] if chosen else [_config_home() / "uv" / "uv.toml", Path("/etc/uv/uv.toml")]


def _config_home() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
