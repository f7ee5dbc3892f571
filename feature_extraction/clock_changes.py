"""Where a zone's clock is put forward or back, and which windows that leaves without a clear begin or end."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from feature_extraction.event_files import EventsError
from feature_extraction.settings import WindowSettings


def check_bounds(window: WindowSettings, time_zone: str) -> None:
    """Raise `EventsError` where events of the window would lie outside it by the clock.

    Steps follow the clock. After a start in the midst of an hour that comes twice, the clock goes back before it; and
    it never shows an end in the midst of an hour that is left out, but jumps to a time past it. The first instant of
    such an hour does no harm: a day that begins at 01:00 is a whole day.
    """
    zone = ZoneInfo(time_zone)
    if _comes_twice(window.start, zone) and _comes_twice(_before(window.start), zone):
        raise EventsError(f"window.start = {window.start} comes twice in {time_zone}, when clocks go back; {_INSTEAD}")
    if _is_left_out(window.end, zone) and _is_left_out(_before(window.end), zone):
        raise EventsError(f"window.end = {window.end} is skipped in {time_zone}, when clocks go forward; {_INSTEAD}")


_INSTEAD = "choose a full hour, or midnight"


def _before(time: datetime) -> datetime:
    return time - timedelta(seconds=1) if time > datetime.min else time


def _comes_twice(time: datetime, zone: ZoneInfo) -> bool:
    first, second = time.replace(tzinfo=zone), time.replace(tzinfo=zone, fold=1)
    return not _is_left_out(time, zone) and first.utcoffset() != second.utcoffset()


def _is_left_out(time: datetime, zone: ZoneInfo) -> bool:
    if not timedelta(days=1) < time - datetime.min < datetime.max - datetime.min - timedelta(days=1):
        return False  # no calendar on either side to ask
    return time.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) != time
