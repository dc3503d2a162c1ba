from ncyber_cli.outputs.summary import AnimalSummary, describe_objective


def test_a_row_is_plain_json() -> None:
    row = AnimalSummary("monkey-a", 160, 52, 0.41, -0.001, float("nan"), None)
    assert row.as_dict() == {
        "animal": "monkey-a", "trials": 160, "neurons": 52, "co_bps": 0.41, "co_bps_null": -0.001,
        "behavior_r2": None, "objective": None, "co_r2": None, "co_r2_null": None, "prototypes": None,
    }  # fmt: skip


def test_an_objective_is_named_by_what_the_controller_can_claim() -> None:
    assert describe_objective("setpoint", dimensions=2, unit="m") == "target position, 2-D, in m"
    assert describe_objective("setpoint", dimensions=2, unit=None) == "setpoint of a learned readout, 2-D, no unit"
    assert describe_objective("mlp", dimensions=3, unit="m") == "unstructured, 3-D, no unit"
    assert describe_objective("none", dimensions=0, unit=None) is None
