"""The tests without live processes, by Python, Twisted and core: what the CI workflow runs."""

import shutil

import nox

#: The oldest that setup.cfg allows, and whatever is the newest.
TWISTED = {"oldest": "twisted==26.10.0", "newest": "twisted"}


@nox.session(python=["3.11", "3.12", "3.13"])
@nox.parametrize("twisted", list(TWISTED))
@nox.parametrize("core", ["pure", "compiled"])
def tests(session: nox.Session, core: str, twisted: str) -> None:
    """Run them in an environment of their own, with the locked packages but for Twisted."""
    session.install("--require-hashes", "-r", "requirements-dev.lock")
    session.install("--upgrade", TWISTED[twisted])
    if core == "pure":
        session.run("pytest", "-n", "3", "--dist", "loadfile", "--ignore=tests/live")
        return
    for made in ("build/core", "build/compiled"):
        shutil.rmtree(made, ignore_errors=True)
    # By this environment in the place of make's own; its stamp says that it is there.
    session.run("touch", f"{session.virtualenv.location}/.installed", external=True)
    session.run("make", "compiled", f"VENV={session.virtualenv.location}", external=True)
    packages = ("tl", "crypto", "codec", "mtproto", "handshake", "connection", "http2", "dispatch")
    session.run("pytest", "--core=compiled", *(f"tests/{package}" for package in packages))
