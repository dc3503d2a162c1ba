"""Checks over all sessions: what would collide or not fit into one model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

from ncyber_cli.checks.registry import Grade, Remark, cohort_check
from ncyber_cli.data.absent import never_recorded, nowhere, with_shared_body
from ncyber_cli.data.prepare import unknown_held_out
from ncyber_cli.data.recording import Session
from ncyber_cli.data.split import NO_STEPS, show_steps
from ncyber_cli.spec import Spec


@cohort_check(Grade.error)
def same_file_twice(sessions: Sequence[Session], spec: Spec) -> Iterator[Remark]:
    for files in _grouped([(session.sha256, str(session.path)) for session in sessions]):
        yield files[0], f"has the same bytes as {', '.join(files[1:])}", "name each recording once"


@cohort_check(Grade.warning)
def same_session_name_twice(sessions: Sequence[Session], spec: Spec) -> Iterator[Remark]:
    """Results are filed by animal and session; a fit tells two of one name apart by their files' names."""
    for files in _grouped([((session.animal, session.session), str(session.path)) for session in sessions]):
        what = f"has the same animal and session name as {', '.join(files[1:])}: file names will be added"
        yield files[0], what, "give each session an identifier of its own"


@cohort_check(Grade.error)
def held_out_units_of_no_session(sessions: Sequence[Session], spec: Spec) -> Iterator[Remark]:
    for name, remedy in unknown_held_out(sessions, spec).items():
        yield "data.held_out.units", f"no session has unit {name!r}", remedy


@cohort_check(Grade.error)
def sources_that_no_file_has(sessions: Sequence[Session], spec: Spec) -> Iterator[Remark]:
    for name, why in nowhere(sessions).items():
        yield f"data {name}", f"is in no file ({why})", "`ncyber inspect FILE` says what a file holds"


@cohort_check(Grade.warning)
def sources_that_some_files_lack(sessions: Sequence[Session], spec: Spec) -> Iterator[Remark]:
    for session in sessions:
        for name in session.absent.keys() - nowhere(sessions).keys():
            what = f"lacks {name}: it is inferred there from what others do"
            yield str(session.path), what, "nothing, if it was not recorded; else check the name"


@cohort_check(Grade.warning)
def animals_named_after_files(sessions: Sequence[Session], spec: Spec) -> Iterator[Remark]:
    """Two files of one animal would be two animals."""
    for session in sessions:
        if session.nameless:
            what = f"names no subject: its animal is called {session.animal}"
            yield str(session.path), what, f"write data: {{animal_of: {{{session.path.name}: NAME}}}}"


@cohort_check(Grade.error)
def bodies_differ(sessions: Sequence[Session], spec: Spec) -> Iterator[Remark]:
    shared = with_shared_body(sessions)
    for session in shared[1:]:
        if session.body_names != shared[0].body_names:
            here, there = ", ".join(session.body_names), ", ".join(shared[0].body_names)
            what = f"has behaviour {here}, {shared[0].path} has {there}"
            yield str(session.path), what, "choose columns that every session has: columns: [...]"


@cohort_check(Grade.error)
def trials_of_a_single_bin(sessions: Sequence[Session], spec: Spec) -> Iterator[Remark]:
    if sessions and not show_steps(sessions):
        yield "data.trials", NO_STEPS, "write a longer window, or a smaller data.bin_s"


@cohort_check(Grade.error)
def behavior_that_no_training_trial_has(sessions: Sequence[Session], spec: Spec) -> Iterator[Remark]:
    shared = with_shared_body(sessions)
    if len({tuple(session.body_names) for session in shared}) == 1:  # else bodies_differ has said so
        for name in never_recorded(shared):
            what = f"{name} has no recorded value in any training trial"
            yield "data.behavior", what, "leave it out of the spec, or check data.split"


@cohort_check(Grade.error)
def inputs_differ(sessions: Sequence[Session], spec: Spec) -> Iterator[Remark]:
    for session in sessions[1:]:
        if session.input_names != sessions[0].input_names or session.force.shape[-1] != sessions[0].force.shape[-1]:
            what = f"has inputs {', '.join(session.input_names) or '(none)'}, {sessions[0].path} has other ones"
            yield str(session.path), what, "choose columns that every session has: columns: [...]"


@cohort_check(Grade.warning)
def animals_share_no_area(sessions: Sequence[Session], spec: Spec) -> Iterator[Remark]:
    """Sessions may lack areas, as long as others link them."""
    linked: set[str] = set(sessions[0].unit_area) if sessions else set()
    for _ in sessions:
        linked = linked.union(*(session.unit_area for session in sessions if linked & set(session.unit_area)))
    if any(not linked & set(session.unit_area) for session in sessions):
        areas = "; ".join(f"{session.path.name}: {', '.join(sorted(set(session.unit_area)))}" for session in sessions)
        yield (
            "data.neural",
            f"no session links the areas of all the others ({areas})",
            "check the spelling, or write area: NAME",
        )


def _grouped(pairs: Sequence[tuple[Hashable, str]]) -> list[list[str]]:
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for key, name in pairs:
        groups[key].append(name)
    return [names for names in groups.values() if len(names) > 1]
