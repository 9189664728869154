"""The package: a wheel that works in an environment of its own, outside the repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from rs3l.errors import ConfigError
from rs3l.provenance import check_package
from support.places import REPOSITORY, SCRIPTS

WITHOUT_SIMULATION = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pythia8", "pythia8mc", "fastjet", "pylhe", "pyhepmc", "snakemake"):
            raise ImportError(f"{name} is not for this part")

sys.meta_path.insert(0, Refused())
import rs3l.models, rs3l.pretrain.quick, rs3l.dataset.frames
import rs3l.config, rs3l.dataset.store, rs3l.dataset.stream, rs3l.dataset.features, rs3l.networks.model_file
import rs3l.pretrain.losses, rs3l.pretrain.pretrain, rs3l.finetune.finetune, rs3l.embed.latents
import rs3l.evaluate.ranking, rs3l.evaluate.replicas, rs3l.evaluate.metrics, rs3l.figures.registry, rs3l.report.page
print(rs3l.__file__)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new environment with the wheel, and with what it requires from this one: but for this repository."""
    folder = tmp_path_factory.mktemp("package")
    pip = [sys.executable, "-m", "pip", "-q"]
    source = folder / "source"
    shutil.copytree(REPOSITORY / "workflow" / "scripts", source / "workflow" / "scripts")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source)], check=True
    )
    wheel = next(folder.glob("rs3l_campaign-*.whl"))
    venv.create(folder / "env", symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "env")}))
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)], check=True)
    (site / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder / "env" / "bin"


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run its Python, outside the repository."""
    return subprocess.run([str(installed / "python"), *arguments], cwd=installed, capture_output=True, text=True)


def test_it_is_imported_from_its_own_place(installed: Path) -> None:
    result = run(installed, "-c", "import rs3l; print(rs3l.__file__, rs3l.__version__)")
    assert result.stdout.startswith(str(installed.parent)), result.stdout + result.stderr


def test_data_models_and_report_need_no_simulation(installed: Path) -> None:
    result = run(installed, "-c", WITHOUT_SIMULATION)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.startswith(str(installed.parent))


def test_the_command_line(installed: Path) -> None:
    overview = run(installed, "-m", "rs3l", "--help").stdout
    assert all(f"  {name}" in overview for name in ("hard", "resim", "merge", "pretrain", "embed", "report"))
    embed = run(installed, "-m", "rs3l", "embed", "--help")
    assert embed.stdout.startswith("usage: rs3l embed") and "--model" in embed.stdout
    wrong = run(installed, "-m", "rs3l", "embde")
    assert wrong.returncode == 1 and "error: no command 'embde'; known: hard" in wrong.stderr
    failed = run(installed, "-m", "rs3l", "report", "--config", "no.yaml")
    assert failed.returncode == 1 and "error: no.yaml: cannot be read" in failed.stderr
    assert "command: rs3l report --config no.yaml" in failed.stderr


def test_the_plugin_and_the_files_of_the_report_are_in_it(installed: Path) -> None:
    code = (
        "import pkgutil; from pathlib import Path; import rs3l.figures, rs3l.report; from rs3l.figures.registry import FIGURES\n"
        "assert 'snakemake_logger_plugin_campaign' in {m.name for m in pkgutil.iter_modules()}\n"
        "assert {p.stem for p in (Path(rs3l.figures.__file__).parent / 'captions').glob('*.rst')} == set(FIGURES)\n"
        "assert (Path(rs3l.report.__file__).parent / 'templates' / 'report.html.j2').is_file()\n"
    )
    result = run(installed, "-c", code)
    assert result.returncode == 0, result.stderr


def test_another_checkout_than_the_installed_one_is_refused(tmp_path: Path) -> None:
    package = SCRIPTS / "rs3l"
    check_package(package)
    copy = tmp_path / "there" / "workflow" / "scripts" / "rs3l"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    check_package(copy)
    with (copy / "seeds.py").open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    with pytest.raises(ConfigError, match=f"is not that of this workflow .*pip install {tmp_path}/there"):
        check_package(copy)


def test_the_model_of_the_package_embeds_jets_at_once(installed: Path, tmp_path: Path) -> None:
    code = (
        "from rs3l import models; print(models.sample().parent / 'test' / 'qcd-0000.parquet', models.card()[:3])"
    )
    found = run(installed, "-c", code).stdout.split()
    assert found[0].startswith(str(installed.parent)) and found[1] == "---"
    latents = tmp_path / "latents.parquet"
    done = run(installed, "-m", "rs3l", "embed", "--jets", found[0], "--latents", str(latents))
    assert done.returncode == 0, done.stderr
    assert latents.stat().st_size > 10_000
