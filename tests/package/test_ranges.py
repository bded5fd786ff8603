"""What pip is asked for: ranges in which the tested pins lie."""

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib


@pytest.mark.parametrize("pins", ["requirements.txt", "requirements-tf215.txt"])
def test_the_pins_lie_in_the_ranges(root, pins):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ranges = {canonicalize_name(one.name): one.specifier for one in map(Requirement, project["dependencies"])}
    pinned = [Requirement(line) for line in (root / pins).read_text(encoding="utf-8").splitlines()]
    outside = [
        f"{one}, asked for {ranges[name]}"
        for one in pinned
        if (name := canonicalize_name(one.name)) in ranges
        and not ranges[name].contains(next(iter(one.specifier)).version)
    ]
    assert not outside
    assert {"tensorflow", "numpy", "pillow", "platformdirs"} <= {canonicalize_name(one.name) for one in pinned}
