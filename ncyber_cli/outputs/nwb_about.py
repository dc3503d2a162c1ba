"""What a results file in NWB says of session and animal: what the recording said, in the forms that archives accept.

NWB's best practices ask for an animal's age and species and for the experimenter, in fixed forms. A recording's word
that has none of these forms goes into the animal's description, and what is then missing gets the widest value that is
still true: any age, any animal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pynwb.file import Subject

from ncyber_cli.data.about import START

# NWB demands a start time; this one stands for "not known", and the file's description says so.
UNKNOWN_START = datetime(2000, 1, 1, tzinfo=UTC)
_DUMMIES_END = datetime(1980, 1, 1, tzinfo=UTC)  # what stands for "not known" or "not told" in recordings

_DURATION = r"P(?!$)(\d+(\.\d+)?Y)?(\d+(\.\d+)?M)?(\d+(\.\d+)?W)?(\d+(\.\d+)?D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?"
_FORMS = {
    "age": rf"{_DURATION}|{_DURATION}/|({_DURATION})?/{_DURATION}",
    "species": r"[A-Z][a-z]+ [a-z]+|http://purl\.obolibrary\.org/obo/NCBITaxon_\d+",
    "weight": r"\d+(\.\d+)? (kg|g|mg|ug|ng|pg)",
    "genotype": r".+",
    "strain": r".+",
}
_SEXES_OF_WORMS = ("XO", "XX")  # which a worm that is called by its Latin name must have, and nobody else may
_SEXES = ("M", "F", "O", "U", *_SEXES_OF_WORMS)
_WORM = ("Caenorhabditis elegans", "http://purl.obolibrary.org/obo/NCBITaxon_6239")
_ANY_AGE, _ANY_ANIMAL = "P0D/", "http://purl.obolibrary.org/obo/NCBITaxon_33208"
_NOTHING = "see the recording that the results are of"
_NAME = r"[\w\s\-.']+,\s+[\w\s\-.']+"
_DOI = r"(doi:|http://dx\.doi\.org/|https://doi\.org/).+"
_KEYWORDS = ["latent dynamics", "state-space model", "ncyber"]


def start_of(about: Mapping[str, Sequence[str]]) -> datetime | None:
    """When the session began; None where the recording does not say, or gives a date that stands for none."""
    start = _date(_first(about, START))
    return start if start and start > _DUMMIES_END else None


def session_fields(about: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Arguments of an NWBFile."""
    names = [name for name in about.get("experimenter", ()) if re.fullmatch(_NAME, name)]
    papers = [paper for paper in about.get("related_publications", ()) if re.fullmatch(_DOI, paper)]
    return {
        "experimenter": names or ["not named, in the recording"],
        "experiment_description": _first(about, "experiment_description") or "not described in the recording",
        "institution": _first(about, "institution") or "not named in the recording",
        "lab": _first(about, "lab") or None,
        "keywords": [*about.get("keywords", ()), *_KEYWORDS],
        "related_publications": papers or None,
    }


def subject(animal: str, about: Mapping[str, Sequence[str]]) -> Subject:
    """The animal, called `animal`."""
    said = {name: _first(about, f"subject/{name}") for name in ("sex", "date_of_birth", *_FORMS)}
    told: dict[str, Any] = {"sex": said["sex"] if said["sex"] in _SEXES else "U"}
    told |= {name: said[name] for name, form in _FORMS.items() if re.fullmatch(form, said[name])}
    if born := _date(said["date_of_birth"]):
        told["date_of_birth"] = born
    else:
        told.setdefault("age", _ANY_AGE)
    species = told.setdefault("species", _ANY_ANIMAL)
    if species == _WORM[0] and told["sex"] not in _SEXES_OF_WORMS:
        told["species"] = _WORM[1]
    elif species not in _WORM and told["sex"] in _SEXES_OF_WORMS:
        told["sex"] = "U"
    kept = {told[name].isoformat() if name == "date_of_birth" else told[name] for name in told}
    untold = [f"{name}: {value}" for name, value in said.items() if value and value not in kept]
    remarks = [_first(about, "subject/description"), f"The recording says {', '.join(untold)}." if untold else ""]
    return Subject(subject_id=animal, description=" ".join(filter(None, remarks)) or _NOTHING, **told)


def _first(about: Mapping[str, Sequence[str]], name: str) -> str:
    return next(iter(about.get(name, ())), "")


def _date(written: str) -> datetime | None:
    """Date and time as ISO 8601 has them, of Greenwich where no zone is given."""
    try:
        date = datetime.fromisoformat(written)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
