"""Tells what a person wrote about an error from what a program printed."""

import re
from dataclasses import dataclass, field

HEAD_LINES = 400

_MARKUP = re.compile(r"^\s*(?:[-*+•‣]\s+\S|\d{1,2}[.)]\s+\S|#{1,6}\s+\S|\|.*\|\s*$|>\s|//\s|/\*|<!--|\"\"\")")
_QUOTED = re.compile(r"^> ?(?:Traceback|\s*File \"|\s{2,}\S)")
_SPEAKER = re.compile(
    r"\b(?:I'm|I've|I'd|my|our|anyone|anybody|somebody|someone|please help|thanks)\b"
    r"|\b[Ww]e (?:think|have|are|get|got|see|saw|tried|use|run|want|need|can)\b"
    r"|\bI (?:am|get|got|have|see|saw|run|ran|tried|try|think|was|had|just|keep|can|don|still|also|then|know|found|hit"
    r"|use|need|want|started|built|installed|follow)\w*\b|\?\s*$|\?\s+[A-Z]",
)
"""Somebody speaks; programs say "you" and "your", too."""
_PERSON = re.compile(_SPEAKER.pattern + r"|\b(?:you|your)\b")
_CODE = re.compile(
    r"^\s*(?:return|if|elif|assert|raise|except|def|with|for|while|self\.\w+\()\b"
    r"|^(?:\$ )?(?:grep|echo|cat) [\"'-]|^\$ (?:grep|echo|cat)\b"
    r"|^\s*(?:(?:PASSED|SKIPPED|XFAIL)\s+)?\S+\.py::\w"
    r"|^\s*\w+ = \w*(?:Error|Exception)\(|^\s*throw new "
    r"|^\s*(?:- )?(?:pattern|regexp?|match)\s*[:=]|^(?:export )?(?:[A-Z][A-Z\d_]*=|\w+ = )\\*[\"']"
)
"""Source, a setting, a command, or the name of a test, which holds what the test is given."""
_LITERAL = re.compile(r"\b[rR][bBfF]?[\"'][^\"']*$")
_FROM_A_FILE = re.compile(
    r"\S\.(?:so[\w.]*|whl|md|rst|patch|diff)(?::\d+)?:\s*(?:\w*Error: )?$|\b(?:OPEN|CLOSED|MERGED)\s"
    r"|<(?:t[dh]|li|title|h\d)\b[^>]*>|\b[\w-]+/[\w-]+#\d+|https?://\S+/(?:issues|pull)/\d+"
    r"|(?i:(?:^|, |\] )(?:re|fwd?|subject|title|todo|fixme|example|expected|workaround|symptoms?)\b[^:\"']{0,20}:)"
)
"""What stands before a line of a file that is no log, or before the title of an issue."""
_KEY_OF = re.compile(r"[^\"'\\]*[\"'](?:\s*:\s|,$| (?:not )?in \w)")
"""Follows what is a key, or an item in a list, of source."""
_ANNOUNCED = re.compile(
    r"\b[Aa]n (?:\w+ )?(?:error|exception) (?:has )?occurred\b[^:]{0,60}:?\s*$"
    r"|\bfailed with (?:error|exception) \\*[\"']$"
)
"""A program says that an error follows."""
_KEY = re.compile(r"\\*[\"'][\w.-]+\\*[\"']\s*:|\b[\w.-]+=")
_TRACE_IN_A_STRING = re.compile(r"Traceback \(most recent call last\).*\\n", re.DOTALL)
_SPEECH = re.compile(
    r"\b(?:when|because|which|instead of|caus(?:e[sd]|ing)|due to|treat|avoids?|known|workaround|complain\w*|says?"
    r"|saying|gives?|got"
    r"|getting|gets?|throws?|raises?|hits?|hitting|see|seeing|seen|saw|symptom|looks? like|like|sometimes"
    r"|could(?! not\b)|might|may"
    r"|such as|same|happens?|occurs?|reported|fails? with|failed with|failing with|crash\w* with|die[sd]? with"
    r"|ends? (?:in|with)|e\.g\.|i\.e\.|aka|called|named|known as|about|error was|error is|the error"
    r"|this error|an error|since|hides?|masks?|no more|no longer|rather than|prevents?|closes|people"
    r"|message|bug|issue|fix\w*|patch\w*|commit|grep|match\w*|if|contains?|expect\w*"
    r"|patterns?|regexp?|(?:look|search|watch|tail)\w* for)\b",
    re.IGNORECASE,
)
_EXCEPTION = re.compile(r"(?:[\w.]*(?:Error|Exception|Warning)\b|[\w.]+(?=['\"]?[:(]))['\"]?\(?\\?['\"]?:?\s*$")
_GOES_ON = re.compile(
    r"(?:, please report a bug to PyTorch)?\.?\s*"
    r"(?:(?:means?|is|are|on|in|for|appears?|when)\b|(?:[-–—·]|->) \w|#\d|\((?:see|upstream|issue)\b)"
)
"""A sentence or a title goes on behind the message."""
_REPORT = re.compile(r"^[\W\d]*(?:(?:please|report|a|bug|to|PyTorch)\b\W*)*")
_FORESEES = re.compile(
    r"\b(?:(?:if|when) (?:you )?(?:see|get|hit|encounter|face|run into)"
    r"|you (?:may|might|will|can|could) (?:see|get|encounter|face|hit)|may (?:see|fail|crash)"
    r"|(?:can|could|might|may|would|will) (?:sometimes )?(?:look|fail|appear|crash|occur|happen|print)"
    r"|looks? like this)\b",
    re.IGNORECASE,
)
"""Says what may happen to a reader."""
_ADVICE = re.compile(
    r"\b(?:if you run|sometimes|known issue|troubleshooting|workaround|symptoms?|common errors?|faq|how to fix"
    r"|solution|handle|treat"
    r"|fixes|this (?:pr|change|patch)|summary)\b",
    re.IGNORECASE,
)
_RAN = re.compile(
    r"\b(?:attempt|ran|running|tried|started|duration|exit(?:ed)? code|crashed (?:during|after)|failed at"
    r"|result|logs?|output|date/time|manual run|steps)\b",
    re.IGNORECASE,
)
_OBSERVED = re.compile(
    r"\b(?:errors? observed|observed errors?|actual (?:error|output|behaviou?r)|crashed (?:during|after)|failed at"
    r"|attempt \W?\d)\b",
    re.IGNORECASE,
)
_SOURCE = re.compile(r"^\s*(?:(?:async )?def \w|class \w|import \w|from \w[\w.]* import |@\w|raise \w+\($)")
_LOGGY = re.compile(
    r"^(?!\s*<\w+ )\s*(?:Traceback \(most|File \"|File /\S+:\d+|[-~^ ]*[~^]{2,}|-+> \d+|\d{1,4}[-/:.]\d\d"
    r"|\[?\d{4}-\d\d-\d\d|\$ \S|frame #\d+"
    r"|INFO|WARNING|ERROR|DEBUG|\(\w+ pid=|\[\w+\]|\w+\[\d+\]:|\w+_\w+: |docker: |NvMap|Killed|Aborted"
    r"|Segmentation|goroutine"
    r"|(?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Warning)\b|CUDA kernel errors|For debugging consider"
    r"|Compile with `TORCH"
    r"|.*\d+%\|| {4,}\S|\t\S|[a-z]+ = |.*\b\w+=\S+ \w+=\S+|\S+\.\w+:\d+: \S|.*, in function \w+ at \S|\s*\w+\(.*\)$)"
)
_WORD = re.compile(r"[A-Za-z']+")
_COMMON = re.compile(
    r"\b(?:a|an|and|are|as|at|be|but|by|can|do|does|for|from|has|have|how|i|if|in|is|it|my|not|of|on|or|so|that|the|this|to"
    r"|was|we|when|which|with|you|your)\b",
    re.IGNORECASE,
)
_CHANGE = re.compile(r"commit [0-9a-f]{7,40}$|From [0-9a-f]{40} |diff --git ")
_READS_A_FILE = re.compile(r"\S{0,80}[$#] .*?\b(?:strings\b|grep\b.*\.(?:so|cpp|cu|h|py|md)\b)")
"""A command which shows texts that no run printed."""
_HEADING = re.compile(r"^#{1,6} [A-Za-z\[`*]")
_BOLD = re.compile(r"\*\*[^*\s][^*]*\*\*")
_TABLE = re.compile(r"^\|.*\|\s*$")
_BULLET = re.compile(r"^\s*[-*] +(?:\[[ x]\] )?[A-Za-z`*]")


def is_mention(text: str, start: int, end: int, strict: bool, quoted_log: bool = False) -> bool:
    """Return whether a line speaks about what stands at `start:end` of it, instead of printing it.

    `strict` also takes words of speech before or after as a mention; it fits messages whose text is fixed.
    `quoted_log`: a mail quotes a whole traceback, so that "> " before a line is no more than a prefix.
    """
    lead, tail = text[:start], text[end:]
    if _MARKUP.match(text) and not (quoted_log and text.startswith(">")):
        return True
    if _CODE.match(text) or _LITERAL.search(lead) or (lead.count("`") % 2 and "`" in tail):
        return True
    said = _EXCEPTION.sub("", _ANNOUNCED.sub("", lead))
    if _SPEAKER.search(said):
        return True
    if not strict:
        return False
    return (
        _FROM_A_FILE.search(lead) is not None
        or _is_speech(said)
        or _PERSON.search(tail) is not None
        or _says_more(tail)
    )


def _is_speech(lead: str) -> bool:
    """Return whether what stands before a message speaks; keys and a traceback's other lines do not."""
    return _SPEECH.search(_KEY.sub(" ", _TRACE_IN_A_STRING.sub("", lead))) is not None


def _says_more(tail: str) -> bool:
    """Return whether a sentence goes on after a message that ends its line, or source does."""
    if _KEY_OF.match(tail) or _GOES_ON.match(tail):
        return True
    rest = _REPORT.sub("", tail)
    return len(_WORD.findall(rest)) >= 3 and _SPEECH.search(rest) is not None


@dataclass(slots=True)
class Profile:
    """What the beginning of a text looks like; fed line by line, outside and inside of code fences."""

    kinds: set[str] = field(default_factory=set)
    fences: int = 0
    log_lines: int = 0
    sentences: int = 0
    speaks: bool = False
    personal: bool = False
    reads_files: bool = False
    advice: bool = False
    foresees: bool = False
    observed: bool = False
    source: int = 0
    ran: bool = False
    quoted: int = 0
    is_change: bool = False
    seen: int = 0

    def feed(self, text: str, logged: bool, is_hit: bool) -> None:
        """Take the next line: without its logger's prefix, whether it had one, and whether a signature matched it."""
        self.seen += 1
        self.is_change = self.is_change or (self.seen == 1 and _CHANGE.match(text) is not None)
        self.reads_files = self.reads_files or _READS_A_FILE.match(text) is not None
        if text.lstrip().startswith(("```", "~~~")):
            self.fences += 1
            return
        if self.fences % 2:
            return
        self.quoted += _QUOTED.match(text) is not None
        self.source += _SOURCE.match(text) is not None
        self.observed = self.observed or _OBSERVED.search(text) is not None
        self._note_markup(text)
        if logged or _LOGGY.match(text):
            self.log_lines += not is_hit
        else:
            self._note_speech(text, _SPEAKER if is_hit else _PERSON)

    def _note_markup(self, raw: str) -> None:
        shapes = (("heading", _HEADING), ("bold", _BOLD), ("table", _TABLE), ("bullet", _BULLET))
        self.kinds |= {kind for kind, shape in shapes if shape.search(raw)}

    def _note_speech(self, raw: str, person: re.Pattern[str]) -> None:
        if len(_WORD.findall(raw)) >= 5 and len(_COMMON.findall(raw)) >= 2:
            self.sentences += 1
        self.speaks = self.speaks or _SPEAKER.search(raw) is not None
        self.personal = self.personal or person.search(raw) is not None
        self.foresees = self.foresees or _FORESEES.search(raw) is not None
        self.advice = self.advice or self.foresees or _ADVICE.search(raw) is not None
        self.ran = self.ran or _RAN.search(raw) is not None

    @property
    def quotes_a_log(self) -> bool:
        """Return whether lines of a traceback stand behind "> "."""
        return self.quoted >= 2

    @property
    def is_document(self) -> bool:
        """Return whether this is a change to source, or Markdown with hardly any log outside of its fences."""
        marked_up = len(self.kinds) >= 2 or self.fences >= 2
        return self.is_change or (marked_up and self.log_lines <= 2 * self.sentences + 2)

    def is_conversation(self, strict: bool) -> bool:
        """Return whether people talk and no program's output stands around; programs say "you", too."""
        personal = self.personal if strict else self.speaks
        return self.log_lines == 0 and self.sentences > 0 and (personal or self.advice)

    @property
    def _speaks_of_no_run(self) -> bool:
        return (self.advice and not self.observed) or (self.personal and not self.ran)

    def only_mentions(self, fenced: bool, alone: bool, logged: bool, strict: bool) -> bool:
        """Return whether a hit is a mention by what surrounds it.

        Args:
            fenced: it stands in a code fence.
            alone: the fence holds nothing else.
            logged: a logger's prefix stood before it.
            strict: as in `is_mention`.
        """
        if fenced:
            return alone and (self.foresees or (strict and self._speaks_of_no_run and not logged))
        return not logged and (self.is_document or self.is_conversation(strict))
