"""The command ``images``: what stands in for which image, and the environments that are built."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sagemaker_local_runtime.settings import Settings

Images = Annotated[
    Path | None,
    typer.Option(
        help="Your own images.toml, see docs/local_runtime.md; by default ./images.toml if it exists."
    ),
]
CacheDir = Annotated[
    Path | None,
    typer.Option(help="Keeps the environments of images; ~/.cache/sagemaker-local-runtime by default."),
]
images_app = typer.Typer(help="Show what stands in for which image, and build the environments.")


@images_app.command("list")
def list_images(images: Images = None, cache_dir: CacheDir = None) -> None:
    """Print what stands in for which image, and which environments are built."""
    from sagemaker_local_runtime.images.catalog import Catalog
    from sagemaker_local_runtime.images.listing import lines

    for line in lines(Catalog(images_file(images)), _cache(cache_dir)):
        print(line)


@images_app.command("build")
def build_image(
    uri: Annotated[list[str], typer.Argument(help="An image: REPOSITORY:TAG, or its whole URI.")],
    images: Images = None,
    cache_dir: CacheDir = None,
) -> None:
    """Build the environments of images, so that their jobs need no network later."""
    from sagemaker_local_runtime.images.catalog import Catalog
    from sagemaker_local_runtime.images.environments import Environments

    catalog, environments = Catalog(images_file(images)), Environments(_cache(cache_dir))
    for name in uri:
        image = catalog.find(name)
        found = environments.get(image.specification, print, lambda: None)
        print(f"{image.name.repository}:{image.name.tag}: {found.python}")


def images_file(given: Path | None) -> Path | None:
    """Return the user's ``images.toml``: the given one, or the one in the working directory."""
    default = Path("images.toml")
    return given or (default if default.is_file() else None)


def _cache(given: Path | None) -> Path:
    return Settings(data_dir=Path(), cache_dir=given).cache.resolve()
