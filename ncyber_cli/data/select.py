"""The small language of `where`: comparisons of table columns, joined by and, or, not.

    quality == 'good' and rate > 2
    location in ['M1', 'PMd'] and not heldout

The text is parsed, every node is checked against a list of what is allowed, and the tree is
evaluated over whole columns. Nothing is ever executed as Python.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncyber_cli.data.did_you_mean import did_you_mean
from ncyber_cli.errors import DataError, SpecError

_LONGEST = 2000
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}


def select(expression: str, columns: Mapping[str, NDArray[Any]], rows: int, *, where: str) -> NDArray[np.bool_]:
    """Which of `rows` rows the expression keeps, (rows,).

    Raises SpecError for text outside the language, DataError for an unknown column or a comparison
    of text with numbers; `where` names the key the expression stands under.
    """
    answer = _Evaluation(expression, columns, where).truth(parse(expression, where=where))
    return np.broadcast_to(answer, (rows,)).copy()


def parse(expression: str, *, where: str) -> ast.expr:
    """The expression's tree. Raises SpecError where the text is not in the language."""
    try:
        tree = ast.parse(expression.strip(), mode="eval") if len(expression) <= _LONGEST else None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _not_understood(expression, where, getattr(error, "msg", "") or "too deeply nested") from error
    if tree is None:
        raise _not_understood(expression, where, f"longer than {_LONGEST} characters")
    for node in ast.walk(tree.body):
        _refuse_node(node, expression, where)
    return tree.body


def _refuse_node(node: ast.AST, expression: str, where: str) -> None:
    allowed = (
        *(ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.Compare, ast.In, ast.NotIn),
        *(ast.Name, ast.Load, ast.Constant, ast.List, ast.Tuple),
        *_COMPARE,
    )
    if not isinstance(node, allowed):
        raise _not_understood(expression, where, f"{type(node).__name__} is not part of it")
    if isinstance(node, ast.Constant) and not isinstance(node.value, bool | int | float | str):
        raise _not_understood(expression, where, f"{node.value!r} is neither text, number nor truth value")


def _not_understood(expression: str, where: str, reason: str) -> SpecError:
    return SpecError(
        f"cannot understand {shorten(expression, 80)!r} ({reason})",
        where=where,
        remedy="write comparisons of columns joined by and, or, not, e.g. quality == 'good' and rate > 2",
    )


class _Evaluation:
    """One pass over a checked tree; holds what its error messages need."""

    def __init__(self, expression: str, columns: Mapping[str, NDArray[Any]], where: str) -> None:
        self.expression, self.columns, self.where = expression, columns, where

    def truth(self, node: ast.expr) -> NDArray[np.bool_]:
        if isinstance(node, ast.BoolOp):
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            truth = self.truth(node.values[0])
            for value in node.values[1:]:
                truth = join(truth, self.truth(value))
            return truth
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return np.logical_not(self.truth(node.operand))
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        column: NDArray[Any] = np.asarray(self.value(node))
        if column.dtype.kind in "biuf" and np.isin(column, (0, 1)).all():  # NWB stores truth as 0 and 1
            return column.astype(np.bool_)
        raise self._wrong(f"{ast.unparse(node)} is not true or false", "compare it with a value")

    def _comparison(self, node: ast.Compare) -> NDArray[np.bool_]:
        left: Any = self.value(node.left)
        truth: NDArray[np.bool_] = np.asarray(True)
        for operator, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.value(right_node)
            if isinstance(operator, ast.In | ast.NotIn):
                self._refuse_mixed(left, right, node)
                holds = np.isin(left, right, invert=isinstance(operator, ast.NotIn))
            else:
                if isinstance(right, list) or isinstance(left, list):
                    raise self._wrong("a list stands beside a comparison", "write `in [...]`")
                self._refuse_mixed(left, right, node)
                holds = np.asarray(_COMPARE[type(operator)](left, right))
            truth = np.logical_and(truth, holds)
            left = right
        return truth

    def value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            if node.id not in self.columns:
                raise self._wrong(f"there is no column {node.id!r}", did_you_mean(node.id, self.columns))
            return self.columns[node.id]
        if isinstance(node, ast.List | ast.Tuple):
            return [self.value(item) for item in node.elts]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = np.asarray(self.value(node.operand))
            if value.dtype.kind in "iuf":
                return -value.astype(np.float64) if value.dtype.kind == "u" else -value
            raise self._wrong(f"{ast.unparse(node)} has no negative", "compare numbers with numbers")
        return self.truth(node)

    def _refuse_mixed(self, left: Any, right: Any, node: ast.Compare) -> None:
        sides = [*(left if isinstance(left, list) else [left]), *(right if isinstance(right, list) else [right])]
        if len({np.asarray(side).dtype.kind == "U" for side in sides}) > 1:
            raise self._wrong(f"{ast.unparse(node)} compares text with numbers", "quote text, leave numbers bare")

    def _wrong(self, what: str, remedy: str) -> DataError:
        return DataError(f"{what} in {self.expression!r}", where=self.where, remedy=remedy)
