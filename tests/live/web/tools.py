"""What the tests of web clients need beside Python: Node, its packages, and Chromium."""

import base64
import json
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate

from tests.live.gateway import run
from tests.needs import missing, need_program

#: Node's modules and the clients.
FOLDER = Path(__file__).parent

#: Far more than any client here takes on a busy machine.
CLIENT_SECONDS = 60.0


def require_node() -> None:
    """Skip where Node or its packages are missing; in CI they must be there."""
    need_program("node")
    version = run("node", "--version").stdout.strip()
    if tuple(map(int, version.removeprefix("v").split(".")[:2])) < (20, 10):
        missing(f"Node.js 20.10 or newer is needed, but this is {version}")
    # npm writes it when it has installed everything.
    if not (FOLDER / "node_modules" / ".package-lock.json").exists():
        missing(f"`npm ci` was not run in {FOLDER}")


def require_browser() -> str:
    """Return Chromium's path, or skip like :func:`require_node`."""
    require_node()
    return need_program("chromium", "chromium-browser")


def run_client(
    script: str, wish: dict[str, object], environment: dict[str, str] | None = None
) -> object:
    """Run a client of this folder to its end and return the JSON that it prints."""
    done = run(
        "node",
        # Node 20 has its WebSocket behind this flag; newer ones have it anyway.
        "--experimental-websocket",
        str(FOLDER / script),
        json.dumps(wish),
        seconds=CLIENT_SECONDS,
        environment=environment,
    )
    if done.returncode:
        raise AssertionError(f"{script} has failed:\n{done.stdout}\n{done.stderr}")
    got: object = json.loads(done.stdout)
    return got


def key_hash(certificate: Path) -> str:
    """Return the SHA-256 of a certificate's public key, by which a browser may be told of it."""
    public_key = load_pem_x509_certificate(certificate.read_bytes()).public_key()
    der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(sha256(der).digest()).decode()
