"""What all tests share: a failing check of the contract shows what it compared."""

import pytest

pytest.register_assert_rewrite("cmp_core.testing")
