"""The dead-man's switch: somebody else's monitor is told that a round ended, and raises the alarm when none does."""

_SECONDS = 10.0


def ping(url: str) -> str | None:
    """Ask for the address; return what went wrong, which says nothing of the address: it is a secret."""
    import httpx  # only who has a monitor pays for it

    try:
        with httpx.stream("GET", url, timeout=_SECONDS, follow_redirects=False) as answer:  # its text says nothing
            status = answer.status_code
    # the last two: no host name, a strange proxy, no certificates
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
        return f"it could not be reached ({type(error).__name__})"
    return None if status < 400 else f"it answered {status}"
