"""Proposals of Optuna's trials as run directories keep them. Importing this imports Optuna."""

from __future__ import annotations

import io
import logging
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from runner.search.base import Trial
from runner.search.optuna.parts import optuna
from runner.search.optuna.space import BaseDistribution, Params

_OPTIMIZER: Final = ":optimizer:"
log = logging.getLogger("runner.search")


@dataclass(frozen=True, slots=True)
class Proposal:
    """The proposal of a trial.

    Args:
        params: its point.
        distributions: what each was drawn from.
        attributes: what the sampler wrote down about the trial.
        study_attributes: what it wrote down about the study as it drew the trial.
    """

    params: Params = field(default_factory=dict)
    distributions: dict[str, BaseDistribution] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    study_attributes: dict[str, Any] = field(default_factory=dict)


def proposal_of(trial: optuna.trial.FrozenTrial, study_attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values for `runner.store.run_dir.Identity.proposal`."""
    return {
        "params": dict(trial.params),
        "distributions": {key: optuna.distributions.distribution_to_json(value) for key, value in trial.distributions.items()},
        "system_attrs": dict(trial.system_attrs),
        "study_attrs": dict(study_attributes),
    }


def read_proposal(trial: Trial) -> Proposal:
    """Read the proposal of a trial that an earlier driver was handed; an empty one, with a warning, if it is invalid."""
    plain = trial.proposal
    try:
        distributions = {key: optuna.distributions.json_to_distribution(text) for key, text in plain["distributions"].items()}
        params = {
            key: distributions[key].to_external_repr(distributions[key].to_internal_repr(plain["params"][key])) for key in distributions
        }
        return Proposal(params, distributions, _safe(plain["system_attrs"]), dict(plain["study_attrs"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        log.warning("trial %d: its run.json does not say how it was proposed; the sampler learns nothing from it", trial.number)
        return Proposal()


class _Reader(pickle.Unpickler):
    """Reader of the state of CMA-ES, which Optuna keeps as a pickle, and of nothing else: a run directory may come from anywhere."""

    _ALLOWED: Final = {
        *(("cmaes._cma", "CMA"), ("cmaes._sepcma", "SepCMA"), ("cmaes._cmawm", "CMAwM")),
        *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
        *(("numpy", "dtype"), ("numpy", "ndarray")),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of it")
        return super().find_class(module, name)


def _safe(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the states of CMA-ES that Optuna must not unpickle. (It then continues from an earlier one.)"""
    states: dict[str, dict[int, str]] = {}
    for key, value in attributes.items():
        prefix, found, index = key.partition(_OPTIMIZER)
        if found:
            states.setdefault(prefix + found, {})[int(index)] = value
    refused = []
    for prefix, parts in states.items():
        try:
            _Reader(io.BytesIO(bytes.fromhex("".join(parts[index] for index in range(len(parts)))))).load()
        except (pickle.UnpicklingError, ValueError, TypeError, EOFError, AttributeError, ImportError, IndexError, KeyError) as error:
            log.warning("a state of CMA-ES in a run.json is left out: %s", error)
            refused.append(prefix)
    return {key: value for key, value in attributes.items() if not key.startswith(tuple(refused))}
