from __future__ import annotations

import re
from pathlib import Path

import pytest

from sagemaker_local_runtime.exceptions import SettingsError
from sagemaker_local_runtime.images.catalog import Catalog
from sagemaker_local_runtime.images.environments import Specification

REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"


def catalog(folder: Path, text: str) -> Catalog:
    path = folder / "images.toml"
    path.write_text(text)
    return Catalog(path)


def test_the_default_images_have_the_packages_of_the_runtime() -> None:
    for name in ("sagemaker-xgboost:3.2-0", "sagemaker-scikit-learn:1.9-0-cpu-py3"):
        assert Catalog().find(f"{REGISTRY}/{name}").specification is None


@pytest.mark.parametrize(
    ("name", "requirement"),
    [
        ("sagemaker-scikit-learn:1.2-1-cpu-py3", "scikit-learn>=1.2.1"),
        ("sagemaker-scikit-learn:1.11-0", "scikit-learn>=1.11"),
        ("sagemaker-xgboost:1.7-1", "xgboost>=1.7.4"),
        ("sagemaker-xgboost:1.0-1-cpu-py3", "xgboost>=1.0,!=0.90,!=1.0.*,!=1.1.*,!=1.2.*"),
        ("sagemaker-xgboost:3.0-5", "xgboost-cpu>=3.0.5"),
        ("pytorch-training:2.5.1-cpu-py311", "torch>=2.5.1"),
        (
            "huggingface-pytorch-training:2.1.0-transformers4.36.0-gpu-py310-cu121-ubuntu20.04",
            "transformers[torch]>=4.36.0",
        ),
    ],
)
def test_the_tag_chooses_the_requirements(name: str, requirement: str) -> None:
    found = Catalog().find(f"{REGISTRY}/{name}").specification
    assert found is not None
    assert requirement in found.requirements


def test_what_the_image_has_is_the_lower_bound() -> None:
    asked = Catalog().find(f"{REGISTRY}/sagemaker-scikit-learn:1.2-1").asked
    assert asked == {"scikit-learn": "1.2.1", "numpy": "1.24.1", "pandas": "1.1.3", "scipy": "1.8.0"}


def test_the_users_entries_come_first_and_may_name_their_folder(tmp_path: Path) -> None:
    (tmp_path / "packages.txt").write_text("# of the image\nlightgbm==4.6.0  # pinned\n\n")
    own = catalog(
        tmp_path,
        """
        [[image]]
        repository = "sagemaker-xgboost|churn"
        tag = 'v(?P<version>.+)'
        requirements = "packages.txt"
        train = ["python", "{folder}/train.py"]
        """,
    )
    found = own.find("1.dkr.ecr.eu-west-1.amazonaws.com/team/churn:v1.2")
    assert found.entry.train == ("python", f"{tmp_path}/train.py")
    assert found.specification == Specification(("lightgbm==4.6.0",))
    assert own.find(f"{REGISTRY}/sagemaker-xgboost:3.2-0").specification is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[images]]", "unknown key 'images'. It consists of [[image]] entries"),
        ("[[image]]\ntag = 'x'", "entry 1: 'repository' is missing"),
        ("[[image]]\nrepository = 'x'\nrequirement = []", "unknown key 'requirement'; expected algorithm"),
        ("[[image]]\nrepository = '('", "repository '(' is not a regular expression"),
        ("[[image]]\nrepository = 'x'\ntrain = 'python t.py'", "train is 'python t.py'; expected a list"),
        ("[[image]]\nrepository = 'x'\nserve = []", "serve is empty; expected a program"),
        ("[[image]]\nrepository = 'x'\nalgorithm = 'kmeans'", "'kmeans'; expected one of xgboost"),
        ("[[image]]\nrepository = 'x'\nnearest = 'yes'", "nearest is 'yes'; expected a bool"),
        ("[[image]]\nrepository = 'x'\nrequirements = 'no.txt'", "requirements file cannot be read"),
        ("[[image]", "cannot be read"),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        catalog(tmp_path, text)


def test_a_specification_is_named_after_all_that_decides_what_is_installed() -> None:
    base = Specification(("six",))
    others = [
        Specification(("six==1.17",)),
        Specification(("six",), python="3.12"),
        Specification(("six",), nearest=True),
        Specification(("six",), exclude=("x",)),
    ]
    assert base.key == Specification(("six",)).key
    assert len({base.key, *(other.key for other in others)}) == 5


def test_the_image_of_model_monitor_has_a_program_and_no_tag() -> None:
    image = Catalog().find("156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer")
    assert image.specification is None
    assert image.process is not None
    assert image.process[-1] == "/opt/ml"


def test_an_unknown_processor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="processor is 'spark'; expected one of model-monitor"):
        catalog(tmp_path, '[[image]]\nrepository = "own"\nprocessor = "spark"\n')
