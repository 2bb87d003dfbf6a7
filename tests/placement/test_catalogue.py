"""The catalogue of cards: every row has a source, unknown stays unknown, and substitutes are ranges."""

import pytest

from console.placement.catalogue import accelerators, known, measured, substitutes


def test_every_row_says_whose_words_it_is():
    found = accelerators()
    assert len({a.id for a in found}) == len(found) > 10
    for one in found:
        assert one.source
        assert one.date
        assert one.confidence in ("high", "medium", "low", "none")
        if one.bf16_tflops is not None:
            assert 0 < one.bf16_tflops[0] <= one.bf16_tflops[1]
    unknown = next(a for a in found if a.id == "mlu590")
    assert (unknown.bf16_tflops, unknown.mem_gb, unknown.limit_w) == (None, None, None)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"), ("NVIDIA A100-SXM4-80GB", "a100"), ("NVIDIA H200", "h200"), ("NVIDIA H20", "h20"),
        ("NVIDIA L40S", "l40s"), ("AMD Instinct MI300X", "mi300x"), ("Tesla T4", None), ("", None),
    ],
)  # fmt: skip
def test_a_driver_name_is_known_for_what_it_is(model, name):
    found = known(model)
    assert (found.id if found else None) == name


def test_peaks_are_dense():
    assert known("NVIDIA H100 80GB HBM3").bf16_tflops == (989, 989), "1979 counts sparsity"


def test_substitutes_are_ranges_measured_ones_first_and_never_for_billing():
    for one in substitutes("NVIDIA H100 80GB HBM3"):
        assert 0 < one.least <= one.most
        assert "not for billing" in one.ground
        assert one.source
        assert one.id != "h100"
    (first, *_) = substitutes("Tesla P100-PCIE-16GB")
    assert (first.id, first.least, first.most) == ("v100", 0.43, 1.84)
    back = {s.id: s for s in substitutes("Tesla V100-SXM2-16GB")}
    assert (back["p100"].least, back["p100"].most) == (0.54, 2.33)
    assert "measured" in back["k80"].ground
    assert all(m.source and m.ratio[0] <= m.ratio[1] <= m.ratio[2] for m in measured())
    assert substitutes("Tesla T4") == []
