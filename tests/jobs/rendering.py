"""The example run, rendered for the example platform or for one that differs from it."""

from pathlib import Path

from jobs.render import __main__ as command

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
RUN_FILE, PLATFORM = DOCKER / "run.example.toml", DOCKER / "platform.example.toml"
CRDS = ROOT.parent / "shared/data/crds"


def rendered(*overrides, target="all", platform=PLATFORM, run_file=RUN_FILE):
    return command.render(command.plan(str(run_file), str(platform), overrides), target)


def platform_with(folder, change):
    """Write the example platform file, with the texts changed, and return its path."""
    path = folder / "platform.toml"
    text = PLATFORM.read_text()
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def without(*sections):
    """Return the change that takes sections out of the example platform file."""
    text, change = PLATFORM.read_text(), {}
    for section in sections:
        start = text.index(f"[{section}]\n")
        end = text.find("\n[", start)
        change[text[start : end + 1] if end > 0 else text[start:]] = ""
    return change
