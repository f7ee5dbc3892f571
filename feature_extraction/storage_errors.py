"""What a failure of a disk or of a bucket means to the person who runs the job: what was found, what to do about it.

Takes the exceptions of the operating system, pyarrow and botocore; gives `StorageError` with one sentence. None of
these exceptions repeats a credential, and neither does the sentence.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

PYARROW_CODE = re.compile(r"AWS Error (\w+)(?: \(HTTP status (\d+)\))?")
FULL, REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG), (errno.EACCES, errno.EPERM, errno.EROFS)
BUSY = "the server answers {code}, after several tries; start the job again when it is less busy"
SILENT = (
    "no answer from the server, after several tries ({code}); check that it runs, the network to it and "
    "AWS_ENDPOINT_URL, then start the job again"
)
FORBIDDEN = (
    "the credentials that were found do not permit it ({code}); they need s3:ListBucket on the bucket and "
    "s3:GetObject, s3:PutObject and s3:DeleteObject on what is in it"
)
CREDENTIALS = (
    "the server does not accept the credentials that were found ({code}): they are wrong or have expired; renew them, "
    "and check that AWS_REGION is the bucket's"
)
NO_CREDENTIALS = (
    "no usable credentials were found ({code}); give them in the environment, a profile, or the role of the machine"
)
NO_BUCKET = "there is no bucket of that name ({code}); create it, or correct the run file's URLs"
REGION = "the bucket lies in another region ({code}); set AWS_REGION to its own"
UNSUPPORTED = (
    "the server refuses what this needs ({code}); publishing needs conditional writes (If-Match, If-None-Match), which "
    "Amazon S3 and current MinIO have"
)
CLOCK = "this machine's clock differs too much from the server's ({code}); set it"
# What S3 calls a failure, without its underscores and in capitals; and the statuses that answers without a body leave.
SENTENCES = {
    **dict.fromkeys(("NOSUCHBUCKET",), NO_BUCKET),
    **dict.fromkeys(("ACCESSDENIED", "FORBIDDEN", "ALLACCESSDISABLED", "ACCOUNTPROBLEM", "403"), FORBIDDEN),
    **dict.fromkeys(("INVALIDACCESSKEYID", "SIGNATUREDOESNOTMATCH", "400", "401", "BADREQUEST"), CREDENTIALS),
    **dict.fromkeys(("EXPIREDTOKEN", "INVALIDTOKEN", "TOKENREFRESHREQUIRED", "INVALIDCLIENTTOKENID"), CREDENTIALS),
    **dict.fromkeys(("PERMANENTREDIRECT", "AUTHORIZATIONHEADERMALFORMED", "301", "307"), REGION),
    **dict.fromkeys(("NOTIMPLEMENTED", "501"), UNSUPPORTED),
    **dict.fromkeys(("REQUESTTIMETOOSKEWED",), CLOCK),
    **dict.fromkeys(("SLOWDOWN", "INTERNALFAILURE", "INTERNALERROR", "SERVICEUNAVAILABLE"), BUSY),
    **dict.fromkeys(("500", "502", "503", "504", "429", "REQUESTTIMEOUT", "THROTTLING"), BUSY),
    **dict.fromkeys(("NETWORKCONNECTION",), SILENT),
    # What botocore raises before there is an answer, by the names of its exceptions.
    **dict.fromkeys(("NOCREDENTIALSERROR", "PARTIALCREDENTIALSERROR", "PROFILENOTFOUND"), NO_CREDENTIALS),
    **dict.fromkeys(("CREDENTIALRETRIEVALERROR", "TOKENRETRIEVALERROR", "SSOTOKENLOADERROR"), NO_CREDENTIALS),
    **dict.fromkeys(("UNAUTHORIZEDSSOTOKENERROR", "METADATARETRIEVALERROR"), NO_CREDENTIALS),
    **dict.fromkeys(("ENDPOINTCONNECTIONERROR", "CONNECTIONCLOSEDERROR", "CONNECTTIMEOUTERROR"), SILENT),
    **dict.fromkeys(("READTIMEOUTERROR", "RESPONSESTREAMINGERROR", "HTTPCLIENTERROR", "SSLERROR"), SILENT),
}


class StorageError(ValueError):
    """A location cannot be read or written, or is spelled in a way nothing here understands."""


@contextmanager
def explained(url: str, action: str, *also: type[Exception]) -> Iterator[None]:
    """Turn what a disk or a server says into a `StorageError`.

    Args:
        url: what is being read or written.
        action: `read`, `written`, ...: what it cannot be.
        also: exceptions to turn besides `OSError`.
    """
    kinds: tuple[type[Exception], ...] = (OSError, *also)
    try:
        yield
    except FileNotFoundError as error:
        raise StorageError(f"{url}: no such file; check the run file's URLs and what the stage before left") from error
    except kinds as error:
        raise StorageError(f"{url}: cannot be {action}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in FULL:
        return "the disk is full; free some space or give another output.root, then start the job again"
    if number in REFUSED:
        return f"{error.strerror}; let this user write there, or give another output.root"  # type: ignore[attr-defined]
    for code in filter(None, _codes(error)):
        sentence = SENTENCES.get(code.replace("_", "").upper())
        if sentence:
            return sentence.format(code=code)
    return getattr(error, "strerror", None) or str(error)


def _codes(error: Exception) -> tuple[str | None, ...]:
    """Return what the failure is called, the most telling name first."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict) and "Error" in answer:
        return str(answer["Error"].get("Code")), str(answer["ResponseMetadata"].get("HTTPStatusCode"))
    said = PYARROW_CODE.search(str(error))
    if said:
        named = re.search(r"ExceptionName: (\w+)", str(error))
        return (named and named[1]), said[1], said[2]
    return (type(error).__name__,)
