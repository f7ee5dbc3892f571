"""A local folder put where a test wants it, a bucket above all."""

from feature_extraction import storage


def upload_folder(folder, url, last=""):
    """Copy every file of a local folder to `url`; the file named `last` goes last."""
    files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.name == last)
    for path in files:
        storage.write_bytes(storage.join(url, path.relative_to(folder).as_posix()), path.read_bytes())
