"""``twistd gnetway``: names where the service is made; that is loaded on use."""

from twisted.application.service import ServiceMaker

serviceMaker = ServiceMaker(
    "gnetway",
    "gnetway.tap",
    "An MTProto network gateway",
    "gnetway",
)
