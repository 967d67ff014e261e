"""Texts that an upstream could write, and a page in which every upstream text is one of them."""

from dataclasses import replace
from datetime import timedelta

from tests.page.examples import BEFORE, EVENTS, NOW, OWED, PRESENT, SOURCES, SPANS, STATE, STATICS, TRIALS, YEAR
from watcher.model.answer import Waiting
from watcher.model.facts import LookError
from watcher.model.trial import Stage, Start
from watcher.model.verdict import Evidence, Rung
from watcher.page.facts import Excerpt, KeptLog, PageFacts, Totals, TrialDetails

HOSTILE = [
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "' onmouseover='document.title=1' x='",
    "</title></style></svg></desc></details><script>document.title='owned'</script>",
    "--></bdi></td><iframe src='javascript:alert(1)'></iframe><!--",
    "<![CDATA[<script>alert(1)</script>]]>",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;b&#62; &amp;",
    "javascript:document.title='owned'",
    "data:text/html,<script>alert(1)</script>",
    "https://example.org/\" onclick=\"document.title='owned'",
    "`<b>` and ``` and `",
    "abc\u202egnp.exe \u2066\u2067\u061c",
    "nul\x00 bell\x07 esc\x1b[2J\nline\r\ntab\t\u2028",
    "half a pair \ud800 and \udfff",
    "\ufffe\uffff\U0010ffff",
    "%3Cscript%3E{{7*7}}${7*7}",
    "שלום עולם مرحبا",
    "",
    " ",
    "x" * 10_000,
    "<" * 10_000,
]


def facts_of(text: str, url: str | None = None) -> PageFacts:
    """Return the year with `text` in place of every text, and `url` (the text itself where None) of every address."""
    url = text if url is None else url
    candidate = replace(TRIALS[0].candidate, image=text, digest=text, engine=text, version=text)
    answer = replace(
        PRESENT,
        device=text,
        bug_id=text,
        headline=text,
        next_step=text,
        candidate=candidate,
        fixed_in={text: text, "torch": text},
        waits_for=(Waiting("bug", text, NOW - timedelta(days=9)), Waiting("bring_up", text)),
    )
    trials = [
        replace(
            one,
            candidate=candidate,
            bug_id=text,
            reason=text,
            starts=(Start(text, Stage.READY, one.bring_up, log=text),),
            evidence=tuple(Evidence(Rung.PROBE, text, text, 1) for _ in range(3)),
            displaced=(text, text),
            owed=(replace(OWED, service=text, message=text),) if one.id == 2 else (),
        )
        for one in TRIALS
    ]
    failing = replace(STATE, failures=3, error=LookError(text, text))
    return replace(
        YEAR,
        device=text,
        component=text,
        engine=text,
        answer=answer,
        statics=tuple(
            replace(
                one, name=text, version=text, source=text, component=text, reading=replace(one.reading, reason=text)
            )
            for one in STATICS
        ),
        events=tuple(
            replace(one, source=text, fact=replace(one.fact, name=text, version=text, url=url)) for one in EVENTS
        ),
        before=tuple((text, replace(fact, name=text, url=url)) for _, fact in BEFORE),
        sources=tuple(
            replace(one, name=text, kind=text, pages=(url,) * pages, state=replace(failing, newest=text, newest_at=NOW))
            for pages, one in enumerate(SOURCES)
        ),
        trials=tuple(trials),
        details={
            one.id: TrialDetails(
                SPANS,
                (Excerpt(0, text, tuple((number, text) for number in range(5)), frozenset({3})),),
                (KeptLog(0, text, 1),),
            )
            for one in TRIALS
        },
        totals=Totals({}, 0.0, {text: 1}, NOW, 1.0),
        owed=(replace(OWED, service=text, message=text),),
    )
