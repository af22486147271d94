"""What is done about a key when a session service lets out that it is gone."""

from gnetway.interfaces import IPushTarget
from gnetway.mtproto.key_news import KeyNews, key_news


def heed_key_news(target: IPushTarget, auth_key_id: int, plaintext: bytes) -> None:
    """Look what a message of the service to a session of the key says of the key, and act.

    To be called once the message is on its way: it is the last that its key can encrypt.
    """
    news = key_news(plaintext)
    if news is KeyNews.DESTROYED:
        target.forget_key(auth_key_id)
    elif news is KeyNews.DOUBTFUL:
        target.doubt_key(auth_key_id)
