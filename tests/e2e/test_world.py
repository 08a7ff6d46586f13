"""The worlds that the tests run in."""
import pytest


def test_what_a_failing_block_has_started_is_not_waited_for(world):
    with pytest.raises(AssertionError, match="the block"), world.popen("sleep", "1000") as process:
        raise AssertionError("the block")
    assert process.returncode == -9
