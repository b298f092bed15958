"""What a verification finds: groups of checks, and differences in words."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One thing that is not as published: the file, and in words what is wrong with it."""

    file: str
    found: str


@dataclass(frozen=True)
class Check:
    """One group of checks: how many of how many files are equal, and what is not."""

    name: str
    equal: int
    total: int
    differences: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.equal} of {self.total} equal"


def check(name: str, files: Iterable[object], differences: Iterable[Difference]) -> Check:
    """Return a group of checks over some files, of which those without a difference are equal."""
    names, differences = [str(file) for file in files], tuple(differences)
    unequal = {difference.file for difference in differences}
    return Check(name, sum(file not in unequal for file in names), len(names), differences)


def value(file: object, place: str, published: object, recomputed: object) -> Difference:
    """Return that a published value is not the one computed again."""
    return Difference(str(file), f"{place}: published {published}, recomputed {recomputed}")


def missing(file: object, source: object) -> Difference:
    """Return that a file is missing, and what says that it should be there."""
    return Difference(str(file), f"is missing; it stands in {source}")


def extra(file: object, source: object) -> Difference:
    """Return that a file is there, and what does not know of it."""
    return Difference(str(file), f"is not recorded in {source}")


def altered(file: object, source: object, recorded: str, now: str) -> Difference:
    """Return that the hash of a file is not the recorded one."""
    return Difference(str(file), f"is not as recorded in {source}: {recorded}, now {now}")


def listing(differences: Iterable[Difference]) -> list[str]:
    """Return differences as indented lines, those of one file below its name."""
    by_file: dict[str, list[str]] = {}
    for difference in differences:
        by_file.setdefault(difference.file, []).append(difference.found)
    lines = []
    for file, found in by_file.items():
        if len(found) == 1:
            lines.append(f"  {file}: {found[0]}")
        else:
            lines += [f"  {file}:", *(f"    {text}" for text in found)]
    return lines
