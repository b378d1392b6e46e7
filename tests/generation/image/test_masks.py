import numpy as np
import pytest

from vqzoo.generation import random_masks


def test_boxes_and_strokes_have_their_share_and_are_random_by_number():
    masks = random_masks(6, (40, 60), share=0.2, seed=3)
    np.testing.assert_array_equal(masks[:3], random_masks(3, (40, 60), share=0.2, seed=3))
    assert all(abs(mask.mean() - 0.2) < 0.02 for mask in masks[::2])
    assert all(0.2 <= mask.mean() < 0.5 for mask in masks[1::2])
    rows = [np.flatnonzero(mask.any(1)) for mask in masks[::2]]
    assert all(len(x) == x[-1] - x[0] + 1 == 18 for x in rows)
    assert not (masks[0] == masks[2]).all()
    with pytest.raises(ValueError, match="`share` lies between 0 and 1. Received: share=1.0"):
        random_masks(1, (8, 8), share=1.0)
