"""TLS, as every carrier has to carry it."""

from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from gnetway.rpc.calls import IRpcClient, RpcOptions, TlsOptions
from gnetway.rpc.status import StatusCode
from tests.live.certificates import make_certificates
from tests.rpc.conformance import ECHO, STREAM, CarrierCase
from tests.rpc.peers import Recorder


class TlsConformance(CarrierCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = self._folder()

    def _folder(self) -> Path:
        folder = Path(mkdtemp())
        self.addCleanup(rmtree, folder)
        make_certificates(folder)
        return folder

    def tls(self, role: str, folder: Path | None = None) -> TlsOptions:
        """Return the options of a server or a client that shows its certificate."""
        folder = folder or self.folder
        return TlsOptions(
            (folder / "ca.pem").read_bytes(),
            (folder / f"{role}.pem").read_bytes(),
            (folder / f"{role}.key").read_bytes(),
        )

    async def secure(self, server: TlsOptions, client: TlsOptions | None) -> IRpcClient:
        """Return a client of a server with those options."""
        _, peer = await self.serve(RpcOptions(tls=server))
        return self.call(peer, RpcOptions(tls=client))

    async def assert_refused(self, client: IRpcClient) -> None:
        status = await self.status_of(client.unary(ECHO, b"secret", 5))
        self.assertEqual(status.code, StatusCode.UNAVAILABLE)

    async def test_both_sides_show_certificates(self) -> None:
        client = await self.secure(self.tls("server"), self.tls("client"))
        self.assertEqual(await client.unary(ECHO, b"secret", 5), b"secret")
        listener = Recorder()
        stream = client.stream(STREAM, listener)
        stream.send(b"secret")
        await listener.count(1)
        stream.close()
        self.assertIsNone(await listener.closed)

    async def test_server_that_asks_for_none(self) -> None:
        server = replace(self.tls("server"), ca=None)
        client = await self.secure(server, TlsOptions(self.tls("client").ca))
        self.assertEqual(await client.unary(ECHO, b"secret", 5), b"secret")

    async def test_client_without_a_certificate(self) -> None:
        await self.assert_refused(
            await self.secure(self.tls("server"), TlsOptions(self.tls("client").ca))
        )

    async def test_client_of_another_authority(self) -> None:
        other = replace(self.tls("client", self._folder()), ca=self.tls("client").ca)
        await self.assert_refused(await self.secure(self.tls("server"), other))

    async def test_server_of_another_authority(self) -> None:
        other = replace(self.tls("client"), ca=self.tls("client", self._folder()).ca)
        await self.assert_refused(await self.secure(self.tls("server"), other))

    async def test_server_with_another_name(self) -> None:
        other = replace(self.tls("client"), server_name="session.example")
        await self.assert_refused(await self.secure(self.tls("server"), other))

    async def test_plaintext_client(self) -> None:
        await self.assert_refused(await self.secure(self.tls("server"), None))

    async def test_plaintext_server(self) -> None:
        _, peer = await self.serve()
        await self.assert_refused(self.call(peer, RpcOptions(tls=self.tls("client"))))

    async def test_server_without_a_certificate_does_not_start(self) -> None:
        options = RpcOptions(tls=TlsOptions(self.tls("server").ca))
        server = self.carrier.server("127.0.0.1:0", self.handlers(), options)
        await self.assertFailure(server.start(), ValueError)
