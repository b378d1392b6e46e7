import keras
import numpy as np
import pytest

from vqzoo.quantizers import GroupedQuantizer
from vqzoo.quantizers import ProjectedQuantizer
from vqzoo.quantizers import ResidualQuantizer
from vqzoo.quantizers import VectorQuantizer


def codes(name, size=9):
    return VectorQuantizer(size, keras.initializers.RandomNormal(seed=size), name=name)


def two_projections(shared):
    return ResidualQuantizer([ProjectedQuantizer(shared, 4), ProjectedQuantizer(shared, 4)])


def two_groups(shared):
    return GroupedQuantizer([ResidualQuantizer([shared, codes("a")]), ResidualQuantizer([shared, codes("b")])])


def also_by_itself(shared):
    return ResidualQuantizer([codes("a"), ProjectedQuantizer(shared, 4), shared])


def deep_inside(shared):
    other = ProjectedQuantizer(ResidualQuantizer([codes("a"), shared]), 4)
    return GroupedQuantizer([GroupedQuantizer([ProjectedQuantizer(shared, 4)]), other])


def a_list_inside(shared):
    return ResidualQuantizer([ProjectedQuantizer(ResidualQuantizer([shared], name=name), 4) for name in "ab"])


@pytest.mark.parametrize("make", [two_projections, two_groups, also_by_itself, deep_inside, a_list_inside])
def test_sharing_that_no_file_keeps_is_refused(make):
    message = "several entries of one list, as in .*Received: 'shared' in several places inside `quantizers`. Share"
    with pytest.raises(ValueError, match=message):
        make(codes("shared"))


def one_list_in_a_projection(shared):
    return ProjectedQuantizer(ResidualQuantizer([shared, codes("a"), shared]), 4)


def a_list_twice(shared):
    both = ResidualQuantizer([shared, shared])
    return GroupedQuantizer([both, ProjectedQuantizer(GroupedQuantizer([codes("a")] * 2), 4), both])


@pytest.mark.parametrize("make", [one_list_in_a_projection, a_list_twice])
def test_sharing_in_one_list_is_kept_by_a_file(make, tmp_path):
    shared = codes("shared")
    layer, inputs = make(shared), keras.Input((None, 12))
    model = keras.Model(inputs, layer(inputs))
    shared.assign_codebook(3.0 * shared.codebook)
    model.save(tmp_path / "it.keras")
    again = keras.models.load_model(tmp_path / "it.keras")
    assert len(again.variables) == len(model.variables)
    latents = np.random.default_rng(0).normal(size=(2, 30, 12)).astype("float32")
    for one, other in zip(*(keras.tree.flatten(each(latents)) for each in (model, again)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(np.unique(model(latents).tokens)) > 4


def test_two_quantizers_of_one_name_are_two():
    layer = GroupedQuantizer([ProjectedQuantizer(codes("same"), 4), ProjectedQuantizer(codes("same"), 4)])
    assert layer.codebook_sizes == (9, 9)
