"""Which web pages may use the gateway."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.peer import CorsPolicy

ANY = CorsPolicy(["*"])
LIST = CorsPolicy(["https://web.example.org", "https://*.example.com", "http://localhost:*"])


class AllowTests(SynchronousTestCase):
    def test_pages_without_a_host(self) -> None:
        """Inside of applications, or opened from a file."""
        some = CorsPolicy(["null", "qrc://", "app://*"])
        for origin in (b"null", b"qrc://", b"QRC://", b"app://x", b"app://"):
            self.assertTrue(some.allows(origin), origin)
        for origin in (b"", b"qrc", b"qrc://x", b"file://", b"null://", b"app://x/y"):
            self.assertFalse(some.allows(origin), origin)

    def test_any(self) -> None:
        for origin in (None, b"https://web.example.org", b"null", b"qrc://", b"", b"\xff"):
            self.assertTrue(ANY.allows(origin))

    def test_listed(self) -> None:
        for origin in (
            b"https://web.example.org",
            b"https://WEB.example.org",
            b"https://a.example.com",
            b"https://a.b.example.com",
            b"http://localhost:8080",
            b"http://localhost",
            None,
        ):
            with self.subTest(origin=origin):
                self.assertTrue(LIST.allows(origin))

    def test_not_listed(self) -> None:
        for origin in (
            b"http://web.example.org",
            b"https://web.example.org:8443",
            b"https://web.example.org.evil.net",
            b"https://evil.net/.example.com",
            b"https://example.com",
            b"https://webxexample.org",
            b"null",
            b"",
            b"\xff",
            b"*",
        ):
            with self.subTest(origin=origin):
                self.assertFalse(LIST.allows(origin))

    def test_nobody(self) -> None:
        self.assertFalse(CorsPolicy([]).allows(b"https://web.example.org"))
        self.assertTrue(CorsPolicy([]).allows(None))


class FieldTests(SynchronousTestCase):
    def test_answers(self) -> None:
        self.assertEqual(ANY.answer_fields(b"x"), b"Access-Control-Allow-Origin: *\r\n")
        self.assertEqual(ANY.answer_fields(None), b"")
        self.assertEqual(
            LIST.answer_fields(b"https://web.example.org"),
            b"Access-Control-Allow-Origin: https://web.example.org\r\nVary: Origin\r\n",
        )
        # Caches must not give one page's answer to another, allowed or not.
        self.assertEqual(LIST.answer_fields(b"https://evil.net"), b"Vary: Origin\r\n")
        self.assertEqual(LIST.answer_fields(None), b"Vary: Origin\r\n")

    def test_preflights(self) -> None:
        fields = ANY.preflight_fields(b"x", b"content-type, x-requested-with")
        self.assertIn(b"Access-Control-Allow-Origin: *\r\n", fields)
        self.assertIn(b"Access-Control-Allow-Methods: POST, OPTIONS\r\n", fields)
        self.assertIn(b"Access-Control-Allow-Headers: content-type, x-requested-with\r\n", fields)
        self.assertIn(b"Access-Control-Max-Age: 86400\r\n", fields)

    def test_fields_that_are_no_names_are_not_repeated(self) -> None:
        for asked in (b"a:b", b"a\r\nb", b"a" * 513, b"", b"a\n"):
            with self.subTest(asked=asked):
                self.assertNotIn(b"Allow-Headers", ANY.preflight_fields(b"x", asked))

    def test_options_without_an_origin(self) -> None:
        self.assertEqual(ANY.preflight_fields(None, None), b"")
