"""Handlers of calls: the stock one, the one that the configuration names, and what both may do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from inspect import getattr_static, signature
from types import FunctionType
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import Invalid, implementer
from zope.interface.verify import verifyObject

from gnetway.application import (
    ContextFactory,
    HandlerFactory,
    IRpcHandler,
    Middleware,
    RpcAnswer,
    RpcCall,
)
from gnetway.backends.embedded.help_config import HelpConfig
from gnetway.backends.embedded.store import IKeyStore
from gnetway.errors import ConfigError, RpcError
from gnetway.runtime.clocks import WallClock
from gnetway.runtime.threads import as_deferred
from gnetway.tl.primitives import Constructor, pack_uint32

_BOOL_TRUE: Final = pack_uint32(Constructor.BOOL_TRUE)


@implementer(IRpcHandler)
class StockHandler:
    """Answers what clients ask of any server; the rest goes to ``other``, if there is one.

    Those are help.getConfig, help.getNearestDc and auth.dropTempAuthKeys.
    """

    def __init__(
        self, wall: WallClock, config: HelpConfig, other: IRpcHandler | None = None
    ) -> None:
        self._wall = wall
        self._config = config
        self._other = other or NotServed()

    def handle(self, call: RpcCall) -> RpcAnswer:
        """Return the answer.

        :raises RpcError: 400 CONNECTION_NOT_INITED for a config of an unknown layer; without
            another handler what ``not_served`` raises, else what that one does.
        """
        if call.constructor == Constructor.HELP_GET_CONFIG:
            if not call.layer:
                raise RpcError(400, "CONNECTION_NOT_INITED")
            now = self._wall()
            return self._config.config(now, call.layer, call.client_ip, call.local_ip)
        if call.constructor == Constructor.HELP_GET_NEAREST_DC:
            return self._config.nearest_dc
        if call.constructor == Constructor.AUTH_DROP_TEMP_AUTH_KEYS:
            # They end by themselves. TDLib asks at its start, and logs out where it is refused.
            return _BOOL_TRUE
        return self._other.handle(call)


@implementer(IRpcHandler)
class Layered:
    """A middleware, and the handler behind it."""

    def __init__(self, middleware: Middleware, handler: IRpcHandler) -> None:
        self._middleware = middleware
        self._handler = handler

    def handle(self, call: RpcCall) -> RpcAnswer:
        """Return what the middleware makes of the call."""
        return self._middleware(call, self._go_on)

    def _go_on(self, call: RpcCall) -> Deferred[bytes]:
        # In one form, whatever the next one is: a middleware may await it, or add callbacks.
        try:
            answer = as_deferred(self._handler.handle(call))
        except BaseException:  # noqa: BLE001 - it is for the middleware, and then for the log
            return fail()
        return answer if isinstance(answer, Deferred) else succeed(cast(bytes, answer))


@implementer(IRpcHandler)
class NotServed:
    """Stands for an application's handler where there is none."""

    def handle(self, call: RpcCall) -> RpcAnswer:
        """Refuse the call.

        :raises RpcError: always.
        """
        raise not_served(call.constructor)


def layered(handler: IRpcHandler | None, middleware: Sequence[Middleware]) -> IRpcHandler | None:
    """Return a handler with middleware before it, the first of all outermost.

    :raises ConfigError: see ``check_middleware``.
    """
    for one in reversed(middleware):
        handler = Layered(check_middleware(one), handler or NotServed())
    return handler


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """What an application puts into its gateway; None where it leaves that to the configuration.

    ``middleware`` stands before the handler, the first outermost; ``context`` makes the context
    of a session when it is first asked for.
    """

    handler: HandlerFactory | None = None
    store: IKeyStore | None = None
    middleware: Sequence[Middleware] = ()
    context: ContextFactory | None = None


def load_handler(path: str) -> HandlerFactory:
    """Return the class at ``path``, e.g. ``package.module.Class``.

    :raises ConfigError: there is no such class, its module fails, it is no IRpcHandler, or its
        ``handle`` takes no call.
    """
    found = _load_class(path)
    if not IRpcHandler.implementedBy(found):
        raise _fault(path, "does not implement gnetway.interfaces.IRpcHandler")
    handle = getattr_static(found, "handle", None)
    if isinstance(handle, FunctionType):
        _check_signature(path, handle, _TAKES_CALL, "self", "call")
    return cast(HandlerFactory, found)


def check_handler(handler: object) -> IRpcHandler:
    """Return a handler that was just made.

    :raises ConfigError: it does not provide IRpcHandler, or its ``handle`` takes no call.
    """
    name = _name_of(handler)
    if not IRpcHandler.providedBy(handler):
        raise _fault(name, "does not provide gnetway.interfaces.IRpcHandler")
    handle = getattr(handler, "handle", None)
    if not callable(handle):
        raise _fault(name, "has no method handle")
    _check_signature(name, handle, _TAKES_CALL, "call")
    return handler


def load_middleware(path: str) -> Middleware:
    """Return the function at ``path``.

    :raises ConfigError: there is none, its module fails, or it takes no call and no next.
    """
    return check_middleware(_load(path), path)


def check_middleware(middleware: object, name: str = "") -> Middleware:
    """Return what is to stand before a handler.

    :raises ConfigError: it cannot be called with a call and what hands it on.
    """
    name = name or getattr(middleware, "__qualname__", "") or _name_of(middleware)
    if not callable(middleware) or isinstance(middleware, type):
        raise _fault(name, "is no function, nor an object that can be called")
    _check_signature(name, middleware, _TAKES_NEXT, "call", "next")
    return middleware


def load_store(path: str, reactor: object) -> IKeyStore:
    """Return a store of the class at ``path``, which is called with the reactor.

    :raises ConfigError: there is no such class, its module fails, or it makes no IKeyStore.
    """
    make = load_store_class(path)
    try:
        store = make(reactor)
    except Exception as error:
        found = f"cannot be made with the reactor: {type(error).__name__}: {error}"
        raise _fault(path, found) from error
    return check_store(store)


def load_store_class(path: str) -> type[Any]:
    """Return the class at ``path``.

    :raises ConfigError: there is no such class, its module fails, or it is no IKeyStore.
    """
    found = _load_class(path)
    if not IKeyStore.implementedBy(found):
        raise _fault(path, "does not implement gnetway.backends.embedded.store.IKeyStore")
    return found


def check_store(store: object) -> IKeyStore:
    """Return an application's store.

    :raises ConfigError: it does not provide IKeyStore, or lacks something of it.
    """
    try:
        verifyObject(IKeyStore, store)
    except Invalid as error:
        found = " ".join(str(error).split())
        raise _fault(_name_of(store), f"is no IKeyStore: {found}") from error
    return cast(IKeyStore, store)


_TAKES_CALL: Final = ("handle", "one argument, the call")
_TAKES_NEXT: Final = ("", "two arguments, the call and what hands it on")


def _name_of(thing: object) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


def _check_signature(
    path: str, called: Callable[..., object], should: tuple[str, str], *arguments: str
) -> None:
    try:
        takes = signature(called)
    except (TypeError, ValueError):
        return  # compiled, and does not say what it takes
    try:
        takes.bind(*arguments)
    except TypeError as error:
        name, given = should
        raise _fault(path, f"{name}{takes} cannot be called with {given}: {error}") from error


def _load_class(path: str) -> type[Any]:
    found = _load(path)
    if not isinstance(found, type):
        raise _fault(path, "is no class")
    return found


def _load(path: str) -> object:
    module_name, _, name = path.rpartition(".")
    if not module_name or not name:
        raise _fault(path, "is no dotted path of the form package.module.Class")
    found = getattr(_load_module(path, module_name), name, None)
    if found is None:
        raise _fault(path, f"module {module_name} has no {name}")
    return cast(object, found)


def _load_module(path: str, module_name: str) -> object:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        raise _fault(path, f"no module named {error.name}") from error
    except (Exception, SystemExit) as error:
        # Anything may go wrong in someone else's module; it is told, not shown as a traceback.
        raise _fault(
            path, f"importing {module_name} failed: {type(error).__name__}: {error}"
        ) from error


def _fault(path: str, found: str) -> ConfigError:
    return ConfigError([f"{path}: {found}"])


# What a call gets that nobody serves: 401 if it needs a login, else an error that ends nothing.
#
# A client that hears 401 takes itself to be logged out: it throws its session away and begins
# anew. That is right for what only a user can call, since nobody is logged in here. Before a login
# it would have a client begin anew for ever, as it calls the same again.
#
# So 401 is for the methods of the table alone. Not among them, and so 400 like any id that no
# schema has, are
#
# - auth.* and langpack.*;
# - help.*, but for what belongs to a user: dismissSuggestion, editUserInfo, getUserInfo,
#   hidePromoData, setBotUpdatesStatus, getRecentMeUrls, getPremiumPromo;
# - account.getPassword, deleteAccount, sendVerifyEmailCode and verifyEmail: steps of a login.
#
# See core.telegram.org/methods and its layers 112 to 229; what clients call without a login are
# RequestFlagWithoutLogin in Telegram for Android and create_unauth in TDLib.

#: Constructor ids of the methods that need a login, in hexadecimal.
_NEED_LOGIN: Final = """
0034a818 0069280f 00ae7cc1 01445d75 02bb731d 02e4ffbe 03173d78 032512c5 0330e77f 0388a3b5 038a08d3
041845db 0421e027 042f1f61 043d4f2c 04f1aaa9 0517165a 053ca973 0589ee75 05a954c0 05f58d0f 062dd747
06dd654c 06de6392 077fa99f 07967d36 081202c9 08736a09 087fc5e7 08fc711d 093c9a51 093fa0bf 096a0e00
09c2dd95 09cb126e 09e82039 0a245dd3 0a4314f5 0a7f6bbb 0b290c69 0b297e9b 0b471137 0be77b4a 0c352eec
0c7cb017 0c964709 0d0a48c4 0d6b48f7 0d91a548 0d9d75a4 0dc770ee 0de560d1 0df7534c 0e306d3a 0e7841f0
0ecc2618 0ecf6736 0edc39d0 0f0189d3 0f093465 0f578105 0f635e1b 0f91b065 0fa04dff 0fec13c6 1013fd9e
104fcfa7 107e31a0 10a698e8 10cf3123 10e6bd2c 10ea6184 11e831ee 11f812d8 123e05e9 124b1c00 12b3ad31
12cbf0c4 13005788 1359f4e6 13704a7c 139f63fb 13bbe8b3 14050ea6 146e958d 14967978 14b9bcd7 1508b6af
1513e7b0 15a3b8e3 15ad9f64 167fc0a1 16e443ce 16fcc2cb 1720b4d8 175df251 1782cbb1 178b480b 17aeb75a
17d54f61 18201aae 182e6d6f 18afbc93 18dea0ac 1923fa8c 198fb446 199f3a6c 19ba4a67 19bc4b6d 19c2f763
19d8eb45 1a46500a 1a542004 1ab21940 1ad4a04a 1ae373ac 1aee33af 1af3dbb8 1b3faa88 1bbcf300 1bf89d74
1c015b09 1c295881 1c3d5956 1c3db333 1c50d144 1c9618b1 1ca6ac0a 1cc20387 1cff7e08 1d2652ee 1dbfeca0
1dd840f5 1e251c95 1e91fc99 1edaaac2 1f4a0e87 1f5bc5d2 1f69b606 2000bcc3 21202222 213853a3 219c34e6
21a548f3 21a61057 21ce0b0e 220815b0 22126127 22567115 227d824b 22ddd30c 22e24e22 23830de9 2433dc92
2442485e 2478d1cc 24b524c5 24b581ba 24ce6dee 24e6818d 25690ce4 25939651 25a71742 25ae8f4a 25b3eac7
25c8fe3e 2619a90e 269dc2c1 269e3643 269e9a49 26cf8950 26fb7289 2714d86c 2757ba54 277add7e 27842d2e
280d096f 284b3639 2855be61 285946f8 28e16cc8 2950a18f 299bec8e 29a8962c 29b1c66a 29ee847a 2a2a697c
2a65ef73 2a862092 2aae7a41 2b8879b3 2bf40ccc 2c11c0d7 2c4ada50 2c63a72b 2c6f97b7 2c800be5 2caa4a42
2d0135b3 2d01b9ef 2d03522f 2dacca4f 2dca16b8 2e2e8734 2e79d779 2e7b4543 2ecd56cd 2efe1722 2f98c3d5
3076c4bf 30c3bc9d 30eb63f0 316ce548 31813cd8 31a2a35e 31c1c44f 3223495b 327a30cb 32ca8f91 32d439a4
33153ad4 332b49fc 333fb526 337ef980 338e2464 33ddf480 34090c3b 34435f2d 3491eba9 34fdc5c3 3514b3de
35436bbc 35705b8a 3583fcb1 35a0e062 35a9e0d5 35ddd674 3637e05b 3672e09c 367544db 36a73f77 36e5bf4d
37148dbb 374fef40 37b74355 38df3532 38f0188c 3920e6ef 392718f8 39461db2 395f69da 39854d1f 3a5869ec
3b1adf37 3b7d0ea6 3b831c66 3ba47bff 3baea4e1 3bd2b4a0 3c479971 3c6aa187 3cc04740 3cd930b7 3d5fb10f
3d6ce850 3d8de0f9 3d9a414d 3dbc0415 3dc0f114 3dea5b03 3e0bdd7c 3eadb1bb 3ebee86a 3f64c076 3fa464c8
3ff75734 40582bb2 4067c5e6 40f48462 41248786 413a3e73 4167add1 418d549c 41c10fff 41d41ade 423ab3ad
424cd47a 429547e8 42ff96ed 43286cf2 435885b5 4365af6b 43d8521d 43fe19f3 4423e6c5 446972fd 449e0b51
44fa7a15 4504d54f 456e8987 461b3f48 46578472 4696459a 472455aa 48cdc6d8 48f71778 49aaa9b3 49e9528f
49f0bde9 4aa83913 4b00e066 4b0c8c0f 4b12327b 4b3b5e97 4bc6589a 4c2985b6 4c449472 4c9409f6 4da54231
4dafc503 4dc5085f 4dd3a7f6 4e17810b 4e9963b2 4ea4c80f 4ea9b3bf 4f1ebf24 4f32c098 4f47a016 4faa4aed
4facb138 4fdc5ea7 4fddbee7 500377f9 50077589 501569cf 5057c497 50f24105 514e999d 51602944 519bc2b1
51e842e1 520c3870 53577479 535983c3 53618bce 5381d21a 53bc0020 545cd15a 546dd7a6 5492e5ee 54aa7f8e
54ae308e 55451fa9 5559481d 55a5bb66 55b41fd6 55fb0996 5630281b 56655768 566decd0 5680e342 56987bd5
56da0b3f 570d6f6f 575e1f8c 5774ca74 5784d3e1 57bbd166 57f17692 57f9ece6 5821a5dc 5869a553 58943ee2
58bbcb50 58d6b376 58e63f6d 59ae2b16 59ead627 5a150bd4 5a6d7395 5af4c73a 5b118126 5bd0ee50 5c003cef
5c9ff4d6 5cb367d5 5cf09635 5dc60f03 5dd69e12 5dee78b0 5e437ed9 5e5259b6 5e72c7e1 5ea192c9 5f150144
5f2178c3 5fe7025b 5ff58f20 60073674 60297dec 60331907 60eaefa1 60ed4229 60f67660 6126a43c 621a201f
621d5fa0 63183030 63c66506 640f82b8 646e1097 64780b14 652e4400 653db63d 658b7188 65ad71dc 65b8c79f
6628562c 66a08c7e 66b91b70 66cdafc4 66e486fb 673ac2f9 673ad8f1 67a3f0de 67ed1f68 682d2594 6847d0ab
684d214e 68976c6f 68cc1411 68f3e4eb 69da4557 69f59d69 6a0d3206 6a15cf46 6a3f8d65 6a6e7854 6aa3f6bd
6abb2f73 6b7da746 6ba2cbec 6c2d9026 6c50051c 6c5a5b37 6c5cf2a7 6c750de1 6c883e2d 6cea116a 6d038b58
6d74da08 6dfa0622 6e2be050 6e9583a3 6e98102b 6f636302 6f688aa7 6f6f9c96 6f70dde1 702a40e0 70990b6d
70c32edb 719c5c5e 7206e458 725afbbc 72770c83 72796912 729c562c 72ccc23d 72d4742c 732eef00 734f9721
73665bc2 736dcfea 73746f5c 73783ffd 737fc2ec 73bb643b 7488ce5b 74bbb43d 74bf076b 74fae13a 753fb865
7547c966 7573a4e9 75dfb671 75ec12e6 761ddacf 76a86270 76f36233 770a8e74 77216192 7727a7d5 778b5ab3
778d902f 77ced9d0 78337739 78499170 78515775 7852834e 788464e1 788d7fe3 791451ed 7998c914 7a5fa236
7a777135 7a7f2a15 7aa11297 7adc669d 7ae43737 7b393160 7b8def20 7bd66041 7c2557c4 7cefa15d 7d0444bb
7e58ee9c 7ed094a1 7ed23c57 7ed5348a 7f18176a 7f1d072f 7f4b690a 7f6a1e22 7fd736b2 7fe7e815 7ff34309
7ff3b806 805d46f6 80ed747d 8107455c 810a9fec 812c2ae6 8235057e 82574ae5 82e251d7 82f1e39f 831a83a2
83247d11 8341ecc0 83557dba 83b70d97 83bf3d52 8432c21f 8472478e 849ad397 84be5b93 84c1fd4e 84f80814
8514bdda 8525606f 8535fbd9 857ebdb8 8614ef68 864b2581 8653febe 86a0765d 8704f2bf 875f74be 87704394
87893014 879537f1 87acf08e 87cf7f2f 87f2219b 8851e68e 89419521 894cc99c 8953ab4e 8999602d 899fe31d
89f30f69 8a333c8d 8af94344 8b68b0cc 8b716587 8b89dfbd 8b9b4dae 8bba90e6 8c3410af 8c4bfe5d 8c5006f8
8c5a3b3c 8c8219a8 8ca60525 8d3456d0 8d7ae6af 8d9692a3 8d9d742b 8e51b4c1 8ef3eab0 8ef8ecc0 8f38cd1f
8f9e6898 8fb53057 8fb86b41 8fdf1920 8ffacae1 9021ab67 903bcf59 90c894b5 91006707 9156982a 915860ae
91b15831 91b2d060 91cd32a8 91dc3f31 925ec9ea 92b4494c 92ceddd4 92f6e797 92fd2aae 9308ce1b 9342ca07
93773344 94a495c3 94c65c76 96d528e0 96e6cd81 9709b1c2 973478b6 9738bb15 974392f2 978928ca 97938d5a
981b91dd 983f9745 9898ad73 9967ad0f 998ab009 99f09745 9a364e30 9a5f6e95 9a75a1ef 9a75d6a6 9a868f80
9a901b66 9a98ad68 9adf82fe 9ae91519 9b2754a8 9b5ae7f9 9baa9647 9bd2f439 9c2d527d 9c60eb28 9c7f2f10
9c9abcb1 9cd4eaf9 9d4104e2 9da9403b 9dd6a67b 9df4faad 9dfeefb4 9e6b131a 9eb51445 9ec44f93 9f07c728
9fc19eb6 a001cc43 a00918af a00f32b0 a02ce5d5 a092a980 a0ab6cc6 a0b80cf8 a0ee3b73 a0f4cb4f a0fda762
a1405817 a1974d72 a1b70815 a2185cab a26a7fa5 a2875319 a29cd42c a2a5594d a2b5a3f6 a319e569 a36396e5
a365df7a a3825e50 a423bb51 a4298b29 a455de90 a5273abf a550cd78 a556dac8 a56a8b60 a5866b41 a59b102f
a5a356f9 a5d0514d a5eec345 a60ab9ce a614d034 a622aa10 a63859ec a6437ef6 a663e830 a6b1e39a a6c4600c
a731e257 a74ece2d a76a5392 a7b4e929 a850a693 a85bd1c2 a929597a a9776773 a9b91ae4 a9e69f2e aa2769ed
aa6a90c8 aabb1763 ab42441a abbbd346 abd59201 ac55d9c1 ac806d61 ac81bbde ac8505a5 ad0fa15c ad399cee
ad5648e8 ad8c9a23 adcbbcda ae189d5f ae59db5f aeb00b34 aed6e4f5 af0a4a08 af369d42 af8ff6b9 b0711d83
b0831eb9 b08f922a b0d81a83 b0f9684f b100d45d b106e66c b11eafa2 b12c7125 b132ff7b b15a9afc b1d11410
b1f2061f b2028afb b2081a35 b26732a9 b288bc7d b2cbc1c0 b2e8ba03 b304a621 b4331e3f b4352016 b43df344
b455a106 b45ced1d b502e4a5 b5052fea b550d328 b574b16b b583ba46 b59cf977 b5d501d7 b60f5918 b627f3aa
b6c8c393 b6c8f12b b6e0a3f5 b6f11a1c b7d998f0 b80e5fe4 b81b93d4 b86ba8e1 b86e380e b880bc4b b8a0a1a8
b8f106e3 b91a83bf b9b2881f b9cdc5ee b9d9a38d b9ffc55b ba4a3b5b ba6705f0 ba8d5f35 ba9ee679 bb12a419
bb3b9804 bb8125ba bb9fa475 bbc45b09 bc39e14b bcb73644 bcf22685 bd0415c4 bd0d99eb bd1efd3e bd38850a
bd7f90ac bd82b658 bdbb0464 bdca2f75 bdf93428 be1e85ba be5335be bea65d50 beaedb94 bf25b7f3 bf7225a4
bf899aa0 bf9a776b bfe3dd3d c00ec7d3 c0111fe3 c023849f c02a66d7 c0c4edc9 c0cf7646 c1cbd5b6 c2510192
c27dfa68 c286d98f c2b7d08b c32af4cc c4563590 c4a353ee c4c8a55d c534459a c558d8ab c563c1e4 c5ba3d86
c661bbc4 c6701900 c7025931 c727bb3b c7770878 c78fe460 c7dfdfdd c8a0ec74 c95be06a c97df020 c9a47b0b
c9e01e7b c9e33d54 c9f81ce8 ca1cb9ab ca30a5b1 ca4c79d8 ca8ae8ba cbc6d107 cbea6bc4 cc0110cb cc104937
cc30290b cc5b67cc cc5bebb3 cc6e0c11 ccfddf96 ce03da83 ceb77163 cecc1134 cf1592db cf4f0781 cf9c725b
cff43f61 d069ccde d06e93a8 d0b5e1fc d10dd71b d164e36a d1810907 d19f987b d1b4ab14 d1d7efc5 d1da940c
d22ad148 d2816f10 d2aaf7ec d30d78d4 d33c8902 d348bc44 d372c5ce d3c96bc8 d3e03124 d3fbdccb d455fcec
d464a42b d483f2a8 d4982db5 d5039208 d58f130a d5a5d3a1 d5b10c26 d61e1df3 d638de89 d63d94e0 d6753386
d69b8361 d6b94df2 d766e3ea d83d70c1 d89a83a3 d8aa3671 d91ffad6 d94305e0 d960c4d4 d9ab0f54 d9ba2e54
d9fee60e dadbc950 daecc589 daeda864 db05c1bd db103170 db7e1747 db9ac18d dc0242c8 dc452855 dcbb8260
dcd914fd dcdf8607 dd39316a dd853661 ddbcd819 de7b673d de91436e dea20a39 deb3abbf def60797 df04dd4e
df77f3bc dfc909ab dfd14005 dff8042c dffd50d3 e0611f16 e085f4ea e089f8f5 e09d5faf e0ee6b77 e105e910
e14c4a71 e1902288 e25ff8e0 e2750328 e2c2685b e320c158 e33f5613 e34c0dd6 e39a8f03 e3b7f82c e40ca104
e42ce9c9 e470bcfd e47cb579 e4cb9580 e4e6694b e4fca4a3 e54100bd e58e95d2 e5afa56d e5b17f2b e5f672fa
e6213f4d e63be13f e63fadeb e6aa647f e6df7378 e7027c94 e71a4810 e785a43f e822649d e85bae1a e882a9e1
e8f463d0 e9723804 e9ce781c ea1f0c52 ea5fbcce ea8ca4f9 eab5dc38 eabbb94c eb2b4cf6 eb5ea206 eba80ff0
ec210fbf ec22cfcd ec86017a ece2a0e6 ed9f30c5 eda3e33b edbe6ccb edc5105b edd4882a edd49ef0 edd923c5
ee22b9a8 ee9f88a6 eeb0d625 ef500eab ef7c213a efd48c89 efd9a6a2 f025bc8b f05b4804 f0bb5152 f0d3e6a8
f1036780 f107e790 f1266f38 f128c708 f12e57c9 f132e3ef f19ed96d f1d0fbd3 f21f7f2f f24753e3 f257106c
f29d7c2b f2c4f24d f393aea0 f3ed4c73 f40c0224 f4239425 f44a8315 f4dfa185 f50dbaa1 f516760b f5537ebc
f57c350f f5b5563f f5dad378 f64daf43 f64f54f7 f6e26854 f729ea98 f731a9f4 f743b857 f7760f51 f788ee19
f7bc68ba f803138f f831a20f f836aa95 f8654027 f87eabab f8b036af f93ccba3 f95f61a4 f96e55de f9a0aa09
f9cbe409 fa8cc6f5 fb7e8ca7 fbd3de6b fbf2340a fbfca18f fc533372 fc78af9b fc84653f fc87a53c fc8ddbea
fd05dd00 fd2dda49 fd426afe fda68d36 fdbcd714 fe05dc9a fe087810 fe2eda76 fe38d01b fe74ef9f feb16771
feed5769 fef48f62 ff7a9383 ffb6d4ca
"""

NEED_LOGIN: Final = frozenset(int(word, 16) for word in _NEED_LOGIN.split())


def not_served(constructor: int) -> RpcError:
    """Return the error for a call that nobody serves; a handler may raise it, too."""
    if constructor in NEED_LOGIN:
        return RpcError(401, "AUTH_KEY_UNREGISTERED")
    return RpcError(400, "INPUT_METHOD_INVALID")
