"""The compiled envelope: a definition, its images by region, its assets and its placeholders."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sagemaker_pipelines.definition.annotations import annotate
from sagemaker_pipelines.definition.parameters import Parameter, parameters_of
from sagemaker_pipelines.definition.placeholders import IMAGE_PREFIX, NAMES, find_placeholders, substitute
from sagemaker_pipelines.exceptions import DefinitionError, PlaceholderError
from sagemaker_pipelines.reading import parse_json

ENVELOPE_VERSION = 1

#: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreatePipeline.html, PipelineName
MAX_NAME_LENGTH = 256
NAME_PATTERN = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")


@dataclass(frozen=True)
class Asset:
    """A code file that steps need in S3.

    :param name: its file name, or its path in the folder that it belongs to.
    :param path: its path below the envelope's folder, which contains the hash of its content.
    :param sha256: the hash of its content, 64 hexadecimal digits.
    :param folder: the hash of the names and contents of the folder that a step reads as a whole; empty if the
        step reads this file alone.
    """

    name: str
    path: str
    sha256: str
    folder: str = ""

    def key(self, name_prefix: str) -> str:
        """Return the key in the artifact bucket where the definition expects this file."""
        return f"{name_prefix}assets/{self.folder or self.sha256}/{self.name}"


@dataclass(frozen=True)
class Envelope:
    """A compiled definition with everything that an upsert needs.

    :param name: the pipeline's name, without the environment's prefix.
    :param description: what the pipeline does, in one sentence.
    :param definition: the definition with placeholders.
    :param images: image name to region to image URI.
    :param assets: the code files, which must be uploaded before the definition is created.
    :param placeholders: names of the placeholders in the definition, sorted.
    :param root: the folder that the paths of the assets are relative to.
    :param annotations: what the definition cannot say about its parameters (see :func:`annotate`).
    :param allowed_arguments: names of arguments that are not checked (see :func:`check`).
    """

    name: str
    description: str
    definition: dict[str, Any]
    images: Mapping[str, Mapping[str, str]]
    assets: tuple[Asset, ...]
    placeholders: tuple[str, ...]
    root: Path
    annotations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    allowed_arguments: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: str | Path) -> Envelope:
        """Read an envelope.

        :param path: the file that ``sagemaker-pipelines compile`` wrote.
        :raise DefinitionError: when it is missing, is not JSON, or is not an envelope.
        """
        path = Path(path)
        document = _read(path)
        try:
            if document["envelope_version"] != ENVELOPE_VERSION:
                raise DefinitionError(
                    f"{path} has the envelope version {document['envelope_version']!r}, expected "
                    f"{ENVELOPE_VERSION}: compile it again with this version (make compile)."
                )
            envelope = cls(
                name=document["name"],
                description=document["description"],
                definition=dict(document["definition"]),
                images={name: dict(regions) for name, regions in document["images"].items()},
                assets=tuple(Asset(**asset) for asset in document["assets"]),
                placeholders=tuple(document["placeholders"]),
                root=path.parent,
                annotations=dict(document.get("annotations", {})),
                allowed_arguments=tuple(document.get("allowed_arguments", ())),
            )
            annotate(parameters_of(envelope.definition), envelope.annotations)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DefinitionError(
                f"{path} is not a compiled envelope ({type(error).__name__}: {error}): "
                "write it with `sagemaker-pipelines compile`."
            ) from error
        envelope._check_placeholders(path)
        return envelope

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters that the definition declares, annotated."""
        return annotate(parameters_of(self.definition), self.annotations)

    def pipeline_name(self, name_prefix: str = "") -> str:
        """Return the name that the pipeline has in SageMaker.

        :param name_prefix: the environment's prefix, such as ``dev-``; may be empty.
        :raise PlaceholderError: when SageMaker would refuse the name.
        """
        name = f"{name_prefix}{self.name}"
        if len(name) > MAX_NAME_LENGTH or NAME_PATTERN.fullmatch(name) is None:
            raise PlaceholderError(
                f"name_prefix is {name_prefix!r}, which makes the pipeline's name {name!r}: expected at most "
                f"{MAX_NAME_LENGTH} letters, digits and hyphens, starting with a letter or digit (such as "
                "'dev-'). Change the setting."
            )
        return name

    def fill(self, values: Mapping[str, str], *, region: str) -> dict[str, Any]:
        """Return the definition with every placeholder filled.

        :param values: placeholder to value; images and ``region`` follow the region. It may contain other
            names.
        :param region: the region where the pipeline is created.
        :raise PlaceholderError: a placeholder has no value, or an image is not available in the region; the
            message names them.
        """
        given = {"region": region, **values}
        filled = {name: given[name] for name in self.placeholders if name in given}
        for name in self.placeholders:
            if name.startswith(IMAGE_PREFIX) and name not in filled:
                filled[name] = self.image(name.removeprefix(IMAGE_PREFIX), region)
        missing = [name for name in self.placeholders if not filled.get(name) and name != "name_prefix"]
        if missing or ("name_prefix" in self.placeholders and "name_prefix" not in filled):
            missing = missing or ["name_prefix"]
            raise PlaceholderError(
                f"Pipeline {self.name!r} has no value for {', '.join(missing)}: set it in the connection's "
                "extra or in the operator."
            )
        self.pipeline_name(filled.get("name_prefix", ""))
        definition: dict[str, Any] = substitute(self.definition, filled)
        return definition

    def image(self, name: str, region: str) -> str:
        """Return the URI of an image in a region.

        :raise PlaceholderError: when the image or the region is not known.
        """
        regions = self.images.get(name, {})
        if region not in regions:
            raise PlaceholderError(
                f"Image {name!r} has no URI for the region {region!r}, expected one of "
                f"{', '.join(sorted(regions)) or '(no regions)'}. Deploy to one of them, or give a value for "
                f"{IMAGE_PREFIX}{name}."
            )
        return regions[region]

    def asset_path(self, asset: Asset) -> Path:
        """Check the content of an asset and return its path.

        :raise DefinitionError: when it is missing, or is not the file that the definition was compiled with.
        """
        path = self.root / asset.path
        try:
            seen = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise DefinitionError(f"Asset {path} cannot be read ({error}): run `make compile`.") from error
        if seen != asset.sha256:
            raise DefinitionError(
                f"Asset {path} has the hash {seen}, expected {asset.sha256}: it was edited after compiling. "
                "Edit its source next to the pipeline instead, and run `make compile`."
            )
        return path

    def _check_placeholders(self, path: Path) -> None:
        used = tuple(sorted(find_placeholders(self.definition)))
        if used != self.placeholders:
            raise DefinitionError(
                f"{path} lists the placeholders {', '.join(self.placeholders)}, but its definition uses "
                f"{', '.join(used)}: compile it again (make compile)."
            )
        images = {f"{IMAGE_PREFIX}{name}" for name in self.images}
        unknown = [name for name in used if name not in NAMES and name not in images]
        if unknown:
            raise DefinitionError(
                f"{path} uses the unknown placeholders {', '.join(unknown)}, expected any of "
                f"{', '.join(sorted(NAMES | images))}: correct them and compile it again (make compile)."
            )


def _read(path: Path) -> dict[str, Any]:
    try:
        document = parse_json(path.read_bytes())
    except OSError as error:
        compiled = ", ".join(sorted(file.name for file in path.parent.glob("*.json"))) or "no definition"
        raise DefinitionError(
            f"{path} cannot be read ({error.strerror}). Its folder contains {compiled}. Name one of these, "
            "or run `make compile`."
        ) from error
    except ValueError as error:
        raise DefinitionError(f"{path} is not JSON ({error}): run `make compile`.") from error
    if not isinstance(document, dict):
        raise DefinitionError(
            f"{path} contains a {type(document).__name__}, expected an envelope: run `make compile`."
        )
    return document
