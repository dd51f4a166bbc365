"""What ends a measurement without figures."""

from __future__ import annotations

from typing import ClassVar

from concordat_client.exits import Exit
from concordat_trust.errors import OperatorError, RequesterError


class BenchUnknown(RequesterError):
    code = "bench_unknown"
    sentence = "There is no measurement {name!r}; there is: {known}."
    hint = "concordat bench --help lists what can be measured."
    exit: ClassVar[Exit] = Exit.USAGE


class BenchProcessFailed(OperatorError):
    code = "bench_process_failed"
    sentence = "The process {name!r} of a measurement ended or does not answer."
    hint = "Its own words stand above; ./concordat doctor says what this machine lacks."


class BenchAnswerWrong(OperatorError):
    code = "bench_answer_wrong"
    sentence = "{server} gave a wrong answer, so its times mean nothing: {problem}."
    hint = "Run the tests; a figure of a server that answers wrongly is not printed."
