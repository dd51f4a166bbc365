"""The one page of the home node: it asks the person before a code goes to a program on their machine.

A loopback port belongs to whatever program opened it (RFC 8252 §8.6), and an identity provider that still knows the
browser asks nothing. So the person is shown port and name, and continues by hand. The page needs no script, no style
and no font; every text in it is escaped, and the browser is told to load nothing.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from urllib.parse import urlsplit

FIELD = "confirmation"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sign this command line in?</title></head><body><main>
<h1>Sign this command line in?</h1>
<p>It will act as <strong>{person}</strong> of {organization}.</p>
<p>It listens on {place}. Only continue if you started it yourself. If not, close this page.</p>
<form method="post" action="confirm"><input type="hidden" name="{field}" value="{form}">
<button>Sign in</button></form>
</main></body></html>
"""


@dataclass(frozen=True, slots=True)
class ConfirmPage:
    """What the person is asked; `form` is what the form sends back."""

    redirect_uri: str
    person: str
    organization: str
    form: str

    def html(self) -> str:
        texts = {"person": self.person, "organization": self.organization, "place": self._place, "form": self.form}
        return _PAGE.format(field=FIELD, **{name: html.escape(text, quote=True) for name, text in texts.items()})

    def security_policy(self) -> str:
        """Return the content security policy: nothing loads, nobody frames it, the form leads here and there only."""
        # The form's answer redirects to the command line, and browsers hold redirects to form-action as well. The
        # grammar of a host-source has no IPv6 addresses (CSP3 §2.3.1), so for one only the scheme can be named.
        there = "http:" if self._place.startswith("[") else f"http://{self._place}"
        return "; ".join(
            ("default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", f"form-action 'self' {there}")
        )

    @property
    def _place(self) -> str:
        return urlsplit(self.redirect_uri).netloc
